//! What stands beside the figures: ready settings, the parameters, the comparison, the batches.

use heads_and_tails::drive::Engine;
use heads_and_tails::lab::{BatchSpec, Values};
use leptos::prelude::*;

use crate::Navigator;
use crate::controls::{Controls, radio};
use crate::icons::{self, icon};
use crate::pair::{Pair, Second};
use crate::session::Session;
use crate::transport::MoreOfTheRun;

#[component]
pub fn Rail(pair: Pair) -> impl IntoView {
    let session = pair.first;
    let problems = Signal::derive(move || match pair.second.get().filter(|_| pair.on_second.get()) {
        Some(second) => second.problems.get(),
        None => session.problems.get(),
    });
    let parameters = (!session.hides("controls")).then(|| {
        view! {
            <Controls specs=session.entry.specs values=Signal::derive(move || pair.values()) problems
                hidden=Callback::new(move |key: &'static str| session.hides(key))
                locked=Callback::new(move |key: &'static str| session.locks(key))
                on_set=Callback::new(move |(key, text): (String, String)| pair.set(&key, &text))
                on_file=Callback::new(move |(key, name, bytes): (String, String, Vec<u8>)| session.file(&key, &name, bytes))/>
        }
    });
    view! {
        <aside class="rail-box" id="controls" aria-label="Controls">
            <form class="params" on:submit=|event| event.prevent_default()>
                {(!session.hides("transport")).then(|| view! { <MoreOfTheRun pair/> })}
                {(!session.hides("presets")).then(|| view! { <Presets session/> })}
                <Comparison pair/>
                {parameters}
                <Batches session/>
            </form>
        </aside>
    }
}

#[component]
fn Presets(session: Session) -> impl IntoView {
    let navigator = expect_context::<Navigator>();
    let specs = session.entry.specs;
    let chips = session.entry.card.presets.iter().map(|preset| {
        let link = format!("?lab={}#{}", session.entry.card.slug, preset.query);
        let current = move || {
            session.values.with(|values| {
                let mut wanted = match preset.query.starts_with('&') {
                    true => values.clone(),
                    false => Values::defaults(specs),
                };
                let _known = wanted.apply(preset.query);
                let _same_seed = wanted.set("seed", &session.seed_now().to_string());
                (wanted == *values).then_some("true")
            })
        };
        view! {
            <a class="chip" href=link aria-current=current on:click=move |event| { event.prevent_default(); session.take_query(preset.query); }>{preset.label}</a>
        }
    });
    let offers = Memo::new(move |_| {
        session.frame.with(|frame| frame.as_ref().map(|frame| frame.offers.clone()).unwrap_or_default())
    });
    let offered = move || {
        offers.get().into_iter().map(|offer| {
            if offer.query.starts_with('?') {
                let go = offer.query.clone();
                return view! { <a class="chip" href=offer.query on:click=move |event| navigator.follow(&event, &go)>{offer.label}</a> }.into_any();
            }
            let link = format!("?lab={}#{}", session.entry.card.slug, offer.query);
            view! { <a class="chip" href=link on:click=move |event| { event.prevent_default(); session.merge_query(&offer.query); }>{offer.label}</a> }.into_any()
        }).collect_view()
    };
    view! { <div class="group span"><h2>"Try this"</h2><div class="chips">{chips.collect_view()}{offered}</div></div> }
}

/// Two settings of one lab on one seed: which of them the controls set, and in what they differ.
#[component]
fn Comparison(pair: Pair) -> impl IntoView {
    let comparing = Memo::new(move |_| pair.first.compare.with(Option::is_some));
    move || {
        comparing.get().then(|| {
            let side = |second: bool, label: &'static str| {
                radio("side", label, false, move || pair.on_second.get() == second, move || pair.on_second.set(second))
            };
            view! {
                <Second pair/>
                <div class="group span comparison">
                    <div class="field-name"><h2 id="side">"Controls set"</h2></div>
                    <div class="seg seg--fill" role="radiogroup" aria-labelledby="side">{side(false, "A and B")}{side(true, "B alone")}</div>
                    <p class="field-help" role="status">{move || differences(pair)}</p>
                    <button type="button" class="btn" on:click=move |_| pair.compare(false)>{icon(icons::CROSS)}"End the comparison"</button>
                </div>
            }
        })
    }
}

fn differences(pair: Pair) -> String {
    let first = pair.first.values.get();
    let mut second = first.clone();
    let _known = second.apply(&pair.first.compare.get().unwrap_or_default());
    let differs = pair.first.entry.specs.iter().filter_map(|spec| {
        let (mine, theirs) = (first.get(spec.key)?, second.get(spec.key)?);
        (mine != theirs).then(|| format!("{} {}, not {}", spec.name, spec.text(theirs), spec.text(mine)))
    });
    let differs: Vec<String> = differs.collect();
    match differs.as_slice() {
        [] => "B is as A so far. Change a control, and B alone takes it.".to_owned(),
        some => format!("B has {}.", some.join("; ")),
    }
}

#[component]
fn Batches(session: Session) -> impl IntoView {
    let batches = session.entry.card.batches;
    (!batches.is_empty()).then(|| {
        let buttons = batches.iter().map(|batch| view! { <BatchButton session batch/> });
        view! { <div class="group"><h2>"Beside the run"</h2>{buttons.collect_view()}</div> }
    })
}

#[component]
fn BatchButton(session: Session, batch: &'static BatchSpec) -> impl IntoView {
    let busy = Memo::new(move |_| session.busy.with(|busy| busy.as_deref() == Some(batch.id)));
    let done = Memo::new(move |_| session.rows.with(|rows| rows.get(batch.id).map_or(0, Vec::len)));
    let all = Memo::new(move |_| session.values.with(|values| (batch.rows)(values).len()));
    let label = move || match (busy.get(), done.get(), all.get()) {
        (true, 0, all) if session.batch_engine() == Engine::Gpu => {
            format!("Stop, 0 of {all} done; like ones end together")
        }
        (true, done, all) => format!("Stop, {done} of {all} done"),
        (false, done, all) if done > 0 && done < all => format!("Go on, {done} of {all} done"),
        (false, _, all) => format!("{}, {all} runs", batch.label),
    };
    let press = move |_| {
        if busy.get_untracked() {
            session.stop_batch();
        } else {
            session.run_batch(batch.id, session.values.with_untracked(|values| (batch.rows)(values)));
        }
    };
    let some = Memo::new(move |_| done.get() > 0);
    let runs = move || {
        let rows = session.rows.with(|rows| rows.get(batch.id).cloned().unwrap_or_default());
        let each = rows.into_iter().map(|row| {
            let link = format!("?lab={}#{}", session.entry.card.slug, row.query);
            let open = move |event: web_sys::MouseEvent| {
                event.prevent_default();
                session.take_query(&row.query);
            };
            view! { <li><a href=link on:click=open>{row.label}</a></li> }
        });
        view! { <ul>{each.collect_view()}</ul> }
    };
    view! {
        <button type="button" class="btn" on:click=press>{label}</button>
        {move || busy.get().then(|| view! { <progress max=move || all.get() prop:value=move || done.get() aria-label=batch.label></progress> })}
        {move || some.get().then(|| view! { <details><summary>"Open one of these runs"</summary>{runs}</details> })}
    }
}
