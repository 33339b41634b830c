//! What this is, and what a link can say: listed from the code that reads it.

use heads_and_tails::drive::FaultKind;
use heads_and_tails::labs::CATALOGUE;
use leptos::prelude::*;

use crate::address::{PARTS, TEACHERS_KEYS};
use crate::dialogs::KeyList;
use crate::head::SiteHead;

#[component]
pub fn About() -> impl IntoView {
    document().set_title("About · Heads & Tails");
    let keys = TEACHERS_KEYS.iter().map(|(key, takes, does)| {
        view! { <tr><th scope="row" class="l"><code>{*key}</code></th><td class="l">{*takes}</td><td class="l">{*does}</td></tr> }
    });
    let parts = PARTS.iter().map(
        |(part, what)| view! { <tr><th scope="row" class="l"><code>{*part}</code></th><td class="l">{*what}</td></tr> },
    );
    let labs = CATALOGUE.iter().map(|entry| {
        let names: Vec<&str> = entry.specs.iter().filter(|spec| !spec.is_secret()).map(|spec| spec.key).collect();
        let link = format!("?lab={}", entry.card.slug);
        view! { <tr><th scope="row" class="l"><a href=link>{entry.card.slug}</a></th><td class="l">{names.join(", ")}</td></tr> }
    });
    let faults = FaultKind::ALL.iter().map(|(_, name, what)| view! { <tr><th scope="row" class="l"><code>{*name}</code></th><td class="l">{*what}</td></tr> });
    view! {
        <SiteHead here="about"/>
        <main id="main" class="page-text">
            <h1>"About"</h1>
            <div class="prose">
                <p>"Each lab runs the mechanism of a paper in this browser, small enough to train while you watch, beside the rivals that the paper names. It then judges the paper’s claim at that size: holds, or does not hold, seed by seed. What is ours and not the paper’s is marked so."</p>
                <p>"Nothing you do here leaves this tab, but what a lab asks a server of yours, once you type its address and press Play. There is no server behind it and no cookie: what you set stands in the address, so a link is all there is to keep. Only a model that you train for the KV cache is kept by this browser, for the other tabs of its page."</p>
            </div>
            <div class="prose">
                <h2>"In a course"</h2>
                <p>"A link carries every setting. These keys go before the # of a link, or after it; "<b>"Embed"</b>" on a lab’s page writes the frame for you."</p>
            </div>
            <div class="tbl-wrap" tabindex="0" role="group" aria-label="Keys of a link">
                <table class="tbl"><thead><tr><th scope="col" class="l">"key"</th><th scope="col" class="l">"takes"</th><th scope="col" class="l">"does"</th></tr></thead><tbody>{keys.collect_view()}</tbody></table>
            </div>
            <div class="prose"><h2>"What hide takes"</h2><p>"Names of figures, as the Embed dialog lists them, of parameters, and of these parts."</p></div>
            <table class="tbl"><thead><tr><th scope="col" class="l">"part"</th><th scope="col" class="l">"what goes"</th></tr></thead><tbody>{parts.collect_view()}</tbody></table>
            <div class="prose"><h2>"Parameters"</h2></div>
            <div class="tbl-wrap" tabindex="0" role="group" aria-label="Parameters of each lab">
                <table class="tbl"><thead><tr><th scope="col" class="l">"lab"</th><th scope="col" class="l">"its parameters"</th></tr></thead><tbody>{labs.collect_view()}</tbody></table>
            </div>
            <div class="prose"><h2>"Keys"</h2><p>"They work while no field has the focus."</p></div>
            <KeyList/>
            <div class="prose"><h2>"When something breaks"</h2><p>"The page keeps your settings and what was drawn, says what happened, and offers to go on. To see it: "<code>"fault="</code>" with one of these, a colon, and a step."</p></div>
            <table class="tbl"><thead><tr><th scope="col" class="l">"fault"</th><th scope="col" class="l">"what breaks"</th></tr></thead><tbody>{faults.collect_view()}</tbody></table>
        </main>
        <footer class="foot"><p>"Code under MIT or Apache-2.0. Typeface: Newsreader, SIL Open Font License."</p></footer>
    }
}
