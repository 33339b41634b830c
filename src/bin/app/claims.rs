//! The paper's claims, judged in the page.

use heads_and_tails::chart::number;
use heads_and_tails::lab::{Bound, Experiment};
use leptos::prelude::*;

use crate::icons::{self, icon};
use crate::session::Session;

#[component]
pub fn Claims(session: Session) -> impl IntoView {
    let experiments = session.entry.card.experiments;
    (!experiments.is_empty()).then(|| {
        let claims = experiments.iter().map(|experiment| view! { <Claim session experiment/> });
        view! {
            <h2 id="check">"Check the claims"</h2>
            <p class="how">"What stands here is claimed, not found. Run a claim to see whether it holds here."</p>
            {claims.collect_view()}
        }
    })
}

#[component]
fn Claim(session: Session, experiment: &'static Experiment) -> impl IntoView {
    let id = format!("claim-{}", experiment.id);
    let rows = {
        let id = id.clone();
        Memo::new(move |_| session.rows.with(|rows| rows.get(&id).cloned().unwrap_or_default()))
    };
    let all = experiment.runs.len() * experiment.seeds.len();
    let busy = {
        let id = id.clone();
        Memo::new(move |_| session.busy.with(|busy| busy.as_deref() == Some(id.as_str())))
    };
    let verdict = move || {
        let judged = experiment.verdict(&rows.get());
        let (class, sign, words) = match judged {
            Some(true) => ("verdict holds", Some(icons::CHECK), format!("holds, {} seeds", experiment.seeds.len())),
            Some(false) => ("verdict fails", Some(icons::CROSS), "does not hold".to_owned()),
            None => ("verdict", None, "not run yet".to_owned()),
        };
        view! { <span class=class>{sign.map(icon)}{words}</span> }
    };
    // Until its runs are done it is not to be read as a result.
    let claimed = move || experiment.verdict(&rows.get()).is_none().then_some("Claim: ");
    let run = {
        let id = id.clone();
        move |_| {
            if busy.get_untracked() {
                session.stop_batch();
            } else {
                if rows.with_untracked(Vec::len) == all {
                    session.rows.update(|rows| {
                        rows.remove(&id);
                    });
                }
                session.run_batch(&id, experiment.settings());
            }
        }
    };
    let button = move || {
        let done = rows.with(Vec::len);
        match (busy.get(), done) {
            (true, _) => format!("Stop, {done} of {all} runs done"),
            (false, 0) => format!("Run the {all} runs"),
            (false, done) if done < all => format!("Go on, {done} of {all} runs done"),
            _ => format!("Run the {all} runs again"),
        }
    };
    let table = move || {
        let judged = experiment.judge(&rows.get());
        let seeds = experiment.seeds.iter().map(|seed| view! { <th scope="col">{format!("seed {seed}")}</th> });
        let of_mean = judged.iter().any(|measure| matches!(measure.needed, Bound::MeanAtLeast(_)));
        let mean_head = of_mean.then(|| view! { <th scope="col">"mean"</th> });
        let body = judged.into_iter().map(|measure| {
            let tick = |figure: f64| {
                if measure.needed.holds(figure) {
                    ("tick-holds", format!("{} yes", number(figure, 3)))
                } else {
                    ("tick-fails", format!("{} no", number(figure, 3)))
                }
            };
            let is_of_mean = matches!(measure.needed, Bound::MeanAtLeast(_));
            let mean = of_mean.then(|| {
                let complete = is_of_mean && measure.figures.len() == experiment.seeds.len();
                let (class, text) = if complete { tick(measure.mean()) } else { ("", String::new()) };
                view! { <td><span class=class>{text}</span></td> }
            });
            let cells = experiment.seeds.iter().map(|seed| {
                let figure = measure.figures.iter().find(|(done, _)| done == seed).map(|(_, figure)| *figure);
                let (class, text) = match figure {
                    Some(figure) if is_of_mean => ("", number(figure, 3)),
                    Some(figure) => tick(figure),
                    None => ("", "…".to_owned()),
                };
                view! { <td><span class=class>{text}</span></td> }
            });
            view! { <tr><th scope="row" class="l">{measure.name}</th><td>{measure.needed.text()}</td>{cells.collect_view()}{mean}</tr> }
        });
        view! {
            <table class="tbl">
                <thead><tr><th scope="col" class="l">"figure"</th><th scope="col">"needed"</th>{seeds.collect_view()}{mean_head}</tr></thead>
                <tbody>{body.collect_view()}</tbody>
            </table>
        }
    };
    view! {
        <section class="claim" aria-labelledby=id.clone()>
            <div class="claim-head"><h3 id=id.clone()>{claimed}{experiment.claim}</h3>{verdict}</div>
            <p class="how">{experiment.how}</p>
            <div class="tbl-wrap" tabindex="0" role="group" aria-label=format!("Figures by seed: {}", experiment.claim)>{table}</div>
            <div class="claim-sum"><button type="button" class="btn" on:click=run>{button}</button></div>
        </section>
    }
}
