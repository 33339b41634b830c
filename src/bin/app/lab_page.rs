//! The page of one lab, and the form of it that another page carries. Nothing here knows a lab by name.

use heads_and_tails::chart::svg::{Size, svg};
use heads_and_tails::lab::{Frame, Panel};
use heads_and_tails::labs::{CATALOGUE, Entry};
use leptos::ev;
use leptos::prelude::*;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use crate::address::Address;
use crate::bench::{Bench, numbered};
use crate::claims::Claims;
use crate::dialogs::{EmbedDialog, KeysDialog, LinkDialog, SHORTCUTS, write_to_clipboard};
use crate::figures::{FitsFrame, chart_of};
use crate::head::SiteHead;
use crate::icons::{self, icon};
use crate::pair::Pair;
use crate::rail::Rail;
use crate::session::Session;
use crate::transport::{SlimBar, Transport};
use crate::watch::{in_sight, resized};
use crate::{Navigator, own_link};

/// The text of a file of the site, or nothing.
pub async fn fetch_text(path: &str) -> Option<String> {
    let response = JsFuture::from(window().fetch_with_str(path)).await.ok()?;
    let response: web_sys::Response = response.dyn_into().ok()?;
    if !response.ok() {
        return None;
    }
    JsFuture::from(response.text().ok()?).await.ok()?.as_string()
}

/// The recorded picture of a lab; a site without it shows none.
pub async fn poster(slug: &str) -> Option<Panel> {
    let text = fetch_text(&format!("posters/{slug}.json")).await?;
    serde_json::from_str(&text).ok()
}

#[component]
pub fn LabPage(entry: &'static Entry, at: Address) -> impl IntoView {
    let card = entry.card;
    document().set_title(&format!("{} · Heads & Tails", card.title));
    let (embed, only) = (at.embed, at.panels.clone());
    let pair = Pair::new(Session::open(entry, at));
    let session = pair.first;
    if embed {
        tell_height();
        if only.len() == 1 {
            provide_context(FitsFrame);
        }
        // A figure that was asked for by name comes alone; a whole lab brings its controls.
        let rail = only.is_empty();
        return view! {
            <main id="main" class="embed-frame">
                <h1 class="sr">{card.title}</h1>
                <Mends session/>
                <Notices pair/>
                <div class="body" class:has-rail=rail>
                    <Bench pair only/>
                    {rail.then(|| view! { <Rail pair/> })}
                </div>
                {(!session.hides("transport")).then(|| view! { <SlimBar pair/> })}
            </main>
        }
        .into_any();
    }
    let (keys, code, link) = (RwSignal::new(false), RwSignal::new(false), RwSignal::new(false));
    let shortcuts = window_event_listener(ev::keydown, move |event| shortcut(pair, keys, &event));
    on_cleanup(move || shortcuts.remove());
    let sheet = RwSignal::new(false);
    view! {
        <SiteHead tools=view! { <Tools pair keys code link/> }.into_any()/>
        <main id="main" class:sheet-open=move || sheet.get()>
            <Head session/>
            {(!session.hides("transport")).then(|| view! { <Transport pair sheet/> })}
            <Mends session/>
            <Notices pair/>
            <div class="lab">
                <Bench pair only/>
                <Rail pair/>
                <Article session/>
            </div>
        </main>
        <KeysDialog open=keys/>
        <EmbedDialog open=code pair/>
        <LinkDialog open=link/>
    }
    .into_any()
}

/// Single keys, off while something that takes them has the focus.
fn shortcut(pair: Pair, help: RwSignal<bool>, event: &web_sys::KeyboardEvent) {
    let takes_keys = document().active_element().is_some_and(|element| {
        let typed = "input, textarea, select, [role=slider], dialog[open], dialog[open] *";
        element.matches(typed).unwrap_or(false)
            // A button answers to the space bar, a figure to its own letters; the rest is free.
            || (element.matches("summary, button, a").unwrap_or(false) && event.key() == " ")
            || (element.matches(".plot-wrap").unwrap_or(false) && "nNpP".contains(&event.key()))
    });
    if takes_keys || event.ctrl_key() || event.meta_key() || event.alt_key() {
        return;
    }
    let pressed = if event.key() == " " { "Space".to_owned() } else { event.key() };
    let Some((key, _, act)) = SHORTCUTS.iter().find(|(key, ..)| key.eq_ignore_ascii_case(&pressed)) else { return };
    if *key == "?" {
        help.set(true);
    }
    act(pair);
    event.prevent_default();
}

/// Tells the page around an embed how tall it is, so that the frame can be made to fit.
fn tell_height() {
    let (Some(root), Some(body)) = (document().document_element(), document().body()) else { return };
    resized(&body, move || {
        let said = js_sys::Object::new();
        let set = |key: &str, value: JsValue| js_sys::Reflect::set(&said, &key.into(), &value).is_ok();
        let height = f64::from(root.scroll_height());
        if set("type", "heads-and-tails".into()) && set("height", height.into()) {
            // To whoever embeds this: a height is no secret.
            let _told = window().parent().ok().flatten().map(|parent| parent.post_message(&said, "*"));
        }
    });
}

#[component]
fn Head(session: Session) -> impl IntoView {
    let navigator = expect_context::<Navigator>();
    let card = session.entry.card;
    let tabs = CATALOGUE.iter().filter(|lab| lab.card.page == card.page).map(|lab| {
        let link = format!("?lab={}", lab.card.slug);
        let go = link.clone();
        let current = (lab.card.slug == card.slug).then_some("page");
        view! { <a href=link aria-current=current on:click=move |event| navigator.follow(&event, &go)>{lab.card.title}</a> }
    });
    let cites: Vec<&str> = card.papers.iter().map(|paper| paper.cite).collect();
    view! {
        <div class="lab-head">
            <h1>{card.page.name}</h1>
            <p class="hook">{card.hook}</p>
            <p class="paper">{cites.join("; ")}</p>
        </div>
        {(!session.hides("tabs")).then(|| view! { <nav class="tabs" aria-label="Labs of this page">{tabs.collect_view()}</nav> })}
    }
}

/// The buttons of the head: what works on the whole page.
#[component]
fn Tools(pair: Pair, keys: RwSignal<bool>, code: RwSignal<bool>, link: RwSignal<bool>) -> impl IntoView {
    let session = pair.first;
    let (nothing_past, nothing_undone) =
        (move || session.past.with(Vec::is_empty), move || session.undone.with(Vec::is_empty));
    let comparing = move || session.compare.with(Option::is_some);
    view! {
        <button type="button" class="btn btn--quiet btn--icon" title="Undo (Z)" aria-label="Undo" disabled=nothing_past
            on:click=move |_| session.undo()>{icon(icons::UNDO)}</button>
        <button type="button" class="btn btn--quiet btn--icon" title="Redo (Y)" aria-label="Redo" disabled=nothing_undone
            on:click=move |_| session.redo()>{icon(icons::REDO)}</button>
        <span class="gap desk"></span>
        {(!session.asks()).then(|| view! {
    <button type="button" class="btn btn--quiet" title="Two settings side by side (C)" aria-label="Compare" aria-pressed=move || comparing().to_string()
                on:click=move |_| pair.compare(!untrack(comparing))>{icon(icons::PAIR)}<span class="word">"Compare"</span></button>
        })}
        <button type="button" class="btn btn--quiet desk" aria-label="Embed" title="Embed" on:click=move |_| code.set(true)>{icon(icons::EMBED)}<span class="word">"Embed"</span></button>
        <button type="button" class="btn btn--quiet desk" aria-label="Keys" title="Keys (?)" on:click=move |_| keys.set(true)>{icon(icons::HELP)}<span class="word">"Keys"</span></button>
        <CopyLink session link/>
    }
}

#[component]
fn CopyLink(session: Session, link: RwSignal<bool>) -> impl IntoView {
    let copied = RwSignal::new(false);
    let copy = move |_| {
        let Some(address) = session.address() else { return };
        crate::address::mirror(&address.text());
        let href = window().location().href().unwrap_or_default();
        leptos::task::spawn_local(async move {
            let written = write_to_clipboard(&href).await;
            copied.set(written);
            link.set(!written);
        });
    };
    // The next change makes the copied link an old one.
    Effect::new(move |_| {
        session.values.track();
        copied.set(false);
    });
    let said = move || if copied.get() { "Link copied" } else { "Copy link" };
    view! {
        <button type="button" class="btn btn--quiet" aria-label=said on:click=copy>{icon(icons::LINK)}<span class="word">{said}</span></button>
        <span class="sr" role="status">{move || copied.get().then_some("Link copied")}</span>
    }
}

/// Mends of what has no control: names that this lab does not have, and controls that are left out.
#[component]
fn Mends(session: Session) -> impl IntoView {
    let seen = move |key: &str| {
        let known = session.entry.specs.iter().any(|spec| spec.key == key && spec.key != "seed");
        known && !session.hides(key) && !session.hides("controls")
    };
    // What figures are called is known from the first frame on, and later ones have the same.
    let begun = Memo::new(move |_| session.frame.with(Option::is_some));
    let unknown = Memo::new(move |_| {
        // Not `track`: a memo that nobody reads is never computed, and so tells nobody.
        let _begun = begun.get();
        session.unknown_names()
    });
    move || {
        let mut said: Vec<String> = session.problems.with(|problems| {
            let unseen = problems.iter().filter(|problem| !seen(&problem.key));
            unseen.map(|problem| problem.named(session.entry.specs)).collect()
        });
        said.extend(unknown.get());
        (!said.is_empty()).then(|| {
            let said = said.into_iter().map(|message| view! { <p>{message}</p> }).collect_view();
            view! { <div class="notices"><div class="notice notice--warn" role="status">{icon(icons::WARN)}<div>{said}</div></div></div> }
        })
    }
}

#[component]
pub fn Notices(pair: Pair) -> impl IntoView {
    let notice = move |session: Session, of: &'static str| {
        session.notice.get().map(|notice| {
            let (class, role, sign) = if notice.calm {
                ("notice", "status", icons::INFO)
            } else {
                ("notice notice--error", "alert", icons::ERROR)
            };
            let acts = notice.acts.into_iter().map(|act| {
                let label = act.label();
                view! { <button type="button" class="btn" on:click=move |_| session.act(act.clone())>{label}</button> }
            });
            view! {
                <div class="notices">
                    <div class=class role=role>{icon(sign)}<p>{of}{notice.message}</p><div class="acts">{acts.collect_view()}</div></div>
                </div>
            }
        })
    };
    view! {
        {move || notice(pair.first, "")}
        {move || pair.second.get().and_then(|second| notice(second, "B: "))}
    }
}

/// The first figure once more, beside the text, so that what a link in it sets is seen to act. The style sheet gives it
/// room where the page has some; drawn only while it is in sight.
#[component]
fn Inset(session: Session) -> impl IntoView {
    let place = NodeRef::<leptos::html::Div>::new();
    let seen = RwSignal::new(false);
    Effect::new(move |_| {
        if let Some(place) = place.get() {
            in_sight(&place, move |now| {
                let _gone = seen.try_set(now);
            });
        }
    });
    let first = |frame: &Frame| frame.panels.iter().find(|panel| chart_of(panel).is_some()).cloned();
    let label = Memo::new(move |_| {
        session.frame.with(|frame| {
            let frame = frame.as_ref()?;
            let id = first(frame)?.id;
            numbered(&frame.panels).into_iter().find_map(|(named, label)| (named == id).then_some(label))
        })
    });
    let panel =
        Memo::new(move |_| seen.get().then(|| session.frame.with(|frame| frame.as_ref().and_then(first))).flatten());
    let width = move || place.get().map_or(0.0, |place| f64::from(place.client_width()));
    let picture = move || {
        panel.with(|panel| {
            let chart = panel.as_ref().and_then(chart_of)?;
            Some(svg(chart, Size::new(width(), 210.0))).filter(|_| width() > 0.0)
        })
    };
    let title = move || panel.with(|panel| panel.as_ref().map(|panel| panel.title.clone()));
    let spoken = move || panel.with(|panel| panel.as_ref().map(Panel::spoken));
    view! {
        <div class="inset" aria-hidden="true" node_ref=place>
            {move || label.get().map(|label| view! {
                <div class="panel">
                    <div class="panel-head"><h3><span class="fig">{label}</span>{title}</h3></div>
                    <div class="inset-plot" inner_html=picture></div>
                    <p class="panel-cap">{spoken}</p>
                </div>
            })}
        </div>
    }
}

/// The prose, the claims, the source.
#[component]
fn Article(session: Session) -> impl IntoView {
    let slug = session.entry.card.slug;
    let navigator = expect_context::<Navigator>();
    let prose = LocalResource::new(move || async move { fetch_text(&format!("text/{slug}.en.html")).await });
    let follow = move |event: web_sys::MouseEvent| {
        let Some(link) = own_link(&event) else { return };
        match link.strip_prefix('#') {
            Some(query) if query.contains('=') => {
                event.prevent_default();
                session.take_query(query);
            }
            Some(_) => {}
            None => navigator.follow(&event, &link),
        }
    };
    let sources = session.entry.card.papers.iter().map(|paper| {
        let arxiv = format!("https://arxiv.org/abs/{}", paper.arxiv);
        view! {
            <p class="cite">
                {paper.authors}". "<b>{paper.title}</b>". "{paper.cite}". "
                <a href=arxiv rel="noreferrer">{format!("arXiv {}", paper.arxiv)}</a>
                {(!paper.repository.is_empty())
                    .then(|| view! { ", "<a href=paper.repository rel="noreferrer">"the authors’ code"</a> })}"."
            </p>
        }
    });
    let text = (!session.hides("prose")).then(|| {
        view! { {move || prose.get().flatten().map(|html| view! { <div class="prose" inner_html=html></div> })} }
    });
    view! {
        <article class="article" on:click=follow>
            <div class="reading">
                {text}
                {(!session.hides("prose")).then(|| view! { <Inset session/> })}
            </div>
            {(!session.hides("claims")).then(|| view! { <div class="claims"><Claims session/></div> })}
            <div class="prose"><h2>"The paper"</h2>{sources.collect_view()}</div>
        </article>
    }
}
