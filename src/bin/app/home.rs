//! Home: a card for each paper, with its labs.

use heads_and_tails::lab::{Panel, Paper};
use heads_and_tails::labs::{CATALOGUE, Entry};
use leptos::prelude::*;

use crate::figures::Picture;
use crate::head::SiteHead;
use crate::{Navigator, lab_page};

#[component]
pub fn Home() -> impl IntoView {
    document().set_title("Heads & Tails");
    view! {
        <SiteHead/>
        <main id="main">
            <div class="hero">
                <h1>"The mechanisms of papers, running in your browser."</h1>
                <p class="lead">"Each lab trains a small model in this tab, beside its honest rivals. Change anything, and see whether the paper’s claim holds."</p>
            </div>
            <Shelf/>
        </main>
        <footer class="foot"><p>"Nothing you do here is sent anywhere. Code under MIT or Apache-2.0."</p></footer>
    }
}

/// The cards of all papers that have a lab.
#[component]
pub fn Shelf() -> impl IntoView {
    let mut papers: Vec<&'static Paper> = Vec::new();
    for paper in CATALOGUE.iter().filter_map(|entry| entry.card.papers.first()) {
        if !papers.iter().any(|known| known.slug == paper.slug) {
            papers.push(paper);
        }
    }
    view! {
        <section class="shelf" aria-labelledby="labs">
            <div class="shelf-head"><h2 id="labs">"Labs"</h2><p>"One page a paper; the first picture is recorded, the lab runs."</p></div>
            <div class="cards cards--wide">{papers.into_iter().map(|paper| view! { <PaperCard paper/> }).collect_view()}</div>
        </section>
    }
}

#[component]
fn PaperCard(paper: &'static Paper) -> impl IntoView {
    let navigator = expect_context::<Navigator>();
    let labs: Vec<&'static Entry> = lab_page::labs_of(paper).collect();
    let cards = labs.into_iter().map(|entry| {
        let link = format!("?lab={}", entry.card.slug);
        let poster = LocalResource::new(move || poster(entry.card.slug));
        let go = link.clone();
        view! {
            <article class="card">
                <p class="name"><span>{paper.name}</span><span class="when">{paper.cite}</span></p>
                {move || poster.get().flatten().map(|panel| view! { <Picture panel/> })}
                <h3><a href=link on:click=move |event| navigator.follow(&event, &go)>{entry.card.title}</a></h3>
                <p>{entry.card.hook}</p>
            </article>
        }
    });
    cards.collect_view()
}

/// The recorded picture of a lab; a site without it shows none.
async fn poster(slug: &str) -> Option<Panel> {
    let text = crate::lab_page::fetch_text(&format!("posters/{slug}.json")).await?;
    serde_json::from_str(&text).ok()
}
