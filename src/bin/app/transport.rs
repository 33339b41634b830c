//! What moves a run: play, step, speed, seed, the time line, and what computes.

use heads_and_tails::drive::{Engine, Phase, Progress, Speed};
use leptos::prelude::*;

use crate::Navigator;
use crate::controls::radio;
use crate::engine::{Adapter, relaxed_simd};
use crate::icons::{self, icon};
use crate::pair::Pair;
use crate::session::Session;

/// Play, or pause.
#[component]
pub fn PlayButton(pair: Pair) -> impl IntoView {
    let running = move || pair.first.runs();
    let verb = move || if running() { "Pause" } else { "Play" };
    view! {
        <button type="button" class="btn btn--primary play" aria-label=verb on:click=move |_| pair.play_or_pause()>
            {move || if running() { icon(icons::PAUSE) } else { icon(icons::PLAY) }}
            <span>{verb}</span>
        </button>
    }
}

/// The keys of every transport: restart, play, one step.
#[component]
fn Keys(pair: Pair) -> impl IntoView {
    view! {
        <button type="button" class="btn btn--icon" title="Restart (R)" aria-label="Restart"
            on:click=move |_| pair.each(|session| session.restart())>{icon(icons::RESTART)}</button>
        <PlayButton pair/>
        <button type="button" class="btn btn--icon" title="One step (.)" aria-label="One step"
            on:click=move |_| pair.each(|session| session.step_once())>{icon(icons::STEP)}</button>
    }
}

/// How far the run is.
#[component]
pub fn RunProgress(session: Session) -> impl IntoView {
    let of = move || session.progress.with(last_step);
    let done = move || session.progress.with(|progress| progress.step as f64);
    view! { <progress max=of prop:value=done aria-label="Progress of the run"></progress> }
}

/// Where the run ends, or how far it is if it does not.
fn last_step(progress: &Progress) -> u64 {
    progress.of.unwrap_or(progress.step).max(1)
}

/// The step that is seen: of a look at the past, that of the figures, which is the last on record before what was asked.
fn step(session: Session) -> u64 {
    let seen = session.look.get().and_then(|_| session.frame.with(|frame| frame.as_ref().map(|frame| frame.step)));
    seen.unwrap_or_else(|| session.progress.with(|progress| progress.step))
}

#[component]
pub fn Transport(pair: Pair, sheet: RwSignal<bool>) -> impl IntoView {
    let session = pair.first;
    let of = move || session.progress.with(|progress| progress.of);
    let left = move || {
        if session.sending.get() {
            return "waiting for your server".to_owned();
        }
        session.progress.with(|progress| match (progress.of, progress.rate > 0.0 && progress.phase == Phase::Running) {
            (Some(of), true) => format!("{:.0} s left", (of.saturating_sub(progress.step)) as f64 / progress.rate),
            _ => String::new(),
        })
    };
    view! {
        <div class=move || if session.runs() { "transport is-running" } else { "transport" } role="group" aria-label="Run">
            <div class="keys"><Keys pair/></div>
            <div class="desk"><Speeds pair name="speed"/></div>
            <div class="run">
                <span class="count">
                    {move || session.look.get().map(|_| "Looking at step ")}
                    <output id="count">{move || step(session)}</output>
                    {move || of().map(|of| format!(" of {of} steps"))}
                </span>
                <span class="eta">{left}</span>
                <RunProgress session/>
                <TimeLine pair/>
            </div>
            <div class="desk"><SeedField session id="seed"/></div>
            <EngineFacts pair/>
            <button type="button" class="btn phone" aria-expanded=move || sheet.get().to_string() aria-controls="controls"
                on:click=move |_| sheet.update(|open| *open = !*open)>{icon(icons::SLIDERS)}"Controls"</button>
        </div>
    }
}

/// The one bar of an embed; the name of the site is the way out.
#[component]
pub fn SlimBar(pair: Pair) -> impl IntoView {
    let session = pair.first;
    view! {
        <div class="slim" role="group" aria-label="Run">
            <Keys pair/>
            <RunProgress session/>
            <span><output id="count">{move || step(session)}</output>{move || session.progress.with(|progress| progress.of).map(|of| format!(" of {of}"))}</span>
            <a class="home" href=move || session.whole() target="_blank" rel="noopener">"Heads "<span class="amp">"&"</span>" Tails"</a>
        </div>
    }
}

/// What of the transport has no room on a phone, for the sheet of its controls.
#[component]
pub fn MoreOfTheRun(pair: Pair) -> impl IntoView {
    let session = pair.first;
    let looking = move || {
        let looks = if session.look.with(Option::is_some) { "Looking at step" } else { "Step" };
        let of = session.progress.with(|progress| progress.of).map(|of| format!(" of {of}"));
        format!("{looks} {}{}", step(session), of.unwrap_or_default())
    };
    view! {
        <div class="group span phone-only">
            <h2>"The run"</h2>
            <Speeds pair name="speed-on-phone"/>
            <SeedField session id="seed-on-phone"/>
            <div class="run"><span class="count">{looking}</span><TimeLine pair/></div>
        </div>
    }
}

#[component]
fn Speeds(
    pair: Pair,
    /// Of the group of radio buttons, unique on the page.
    name: &'static str,
) -> impl IntoView {
    let speeds = Speed::ALL.iter().map(|&speed| {
        let chosen = move || pair.first.speed.get() == speed;
        radio(name, speed.label(), false, chosen, move || pair.each(|session| session.set_speed(speed)))
    });
    view! { <div class="seg" role="radiogroup" aria-label="Speed">{speeds.collect_view()}</div> }
}

#[component]
fn SeedField(session: Session, id: &'static str) -> impl IntoView {
    let fixed = session.locks("seed");
    let seed = move || session.seed_now().to_string();
    session.entry.card.chance.then(|| {
        view! {
            <div class="field-inline">
                <label for=id>"Seed"</label>
                <input type="number" id=id min="0" max="9999" prop:value=seed disabled=fixed
                    on:change=move |event| session.set("seed", &event_target_value(&event))/>
                <button type="button" class="btn btn--icon" title="Next seed (S)" aria-label="Next seed" disabled=fixed
                    on:click=move |_| session.next_seed()>{icon(icons::DICE)}</button>
            </div>
        }
    })
}

/// Every recorded step, to look back at while the run goes on.
#[component]
fn TimeLine(pair: Pair) -> impl IntoView {
    let session = pair.first;
    let of = move || session.progress.with(last_step);
    let recorded = Memo::new(move |_| session.progress.with(|progress| progress.recorded));
    let slider = NodeRef::<leptos::html::Input>::new();
    Effect::new(move |_| {
        if let Some(slider) = slider.get() {
            // Through the object model: the content policy refuses a style attribute.
            let share = format!("{:.2}%", 100.0 * step(session) as f64 / of() as f64);
            let set = web_sys::HtmlElement::style(&slider).set_property("--at", &share);
            debug_assert!(set.is_ok());
        }
    });
    view! {
        <div class="timeline">
            <input type="range" min="0" max=of step="1" aria-label="Look at an earlier step" node_ref=slider
                prop:value=move || session.look.get().unwrap_or_else(|| step(session)).to_string()
                on:input=move |event| {
                    let at: u64 = event_target_value(&event).parse().unwrap_or(0);
                    let at = (at <= recorded.get_untracked()).then_some(at);
                    pair.each(|session| session.look_at(at));
                }/>
            {move || session.look.get().map(|_| view! {
                <button type="button" class="btn btn--s" on:click=move |_| pair.each(|session| session.look_at(None))>"Back to now"</button>
            })}
        </div>
    }
}

/// Which engine runs, how fast, and why it was chosen.
#[component]
fn EngineFacts(pair: Pair) -> impl IntoView {
    let session = pair.first;
    let name = move || match session.running_on.get() {
        Engine::Gpu => "WebGPU",
        engine => engine.label(),
    };
    let a_second = |rate: f64| format!("{} steps/s", heads_and_tails::chart::number(rate.round(), 3));
    let rate = move || {
        session.progress.with(|progress| if progress.rate > 0.0 { a_second(progress.rate) } else { String::new() })
    };
    let most =
        move || {
            session.progress.with(|progress| {
                if progress.most > 0.0 { a_second(progress.most) } else { "not measured yet".to_owned() }
            })
        };
    let on_cpu = move || match (session.running_on.get(), session.progress.with(|progress| progress.on_cpu)) {
        (Engine::Gpu, 0) => "none of its operations".to_owned(),
        (Engine::Gpu, some) => format!("{some} of its operations"),
        _ => "all of it".to_owned(),
    };
    let offered = Engine::ALL.iter().filter(|&&engine| engine != Engine::Relaxed || relaxed_simd());
    let choices = offered.map(|&engine| {
        let chosen = move || session.engine.get() == engine;
        radio("engine", engine.label(), false, chosen, move || pair.each(|session| session.set_engine(engine)))
    });
    let gpu = move || {
        let offered = session.running_on.get() != Engine::Gpu;
        match session.adapter.get() {
            Adapter::Unknown => ().into_any(),
            Adapter::None => view! { <p>"No WebGPU here. The CPU engine runs everything."</p> }.into_any(),
            Adapter::Fallback | Adapter::Real => view! {
                {(session.adapter.get() == Adapter::Fallback).then(|| view! { <p>"This WebGPU is software: right results, slowly."</p> })}
                {offered.then(|| view! { <button type="button" class="btn" on:click=move |_| pair.each(|session| session.set_engine(Engine::Gpu))>"Run on WebGPU"</button> })}
                <button type="button" class="btn" on:click=move |_| session.race()>"Time both engines"</button>
            }
            .into_any(),
        }
    };
    view! {
        <details class="engine pop desk">
            <summary><span class="led"></span><span>{name}</span><span class="rate num">{rate}</span></summary>
            <div class="pop-body">
                <dl>
                    <dt>"Device"</dt><dd>{move || session.device.get()}</dd>
                    <dt>"Shown"</dt><dd>{rate}</dd>
                    <dt>"On the CPU"</dt><dd>{on_cpu}</dd>
                    <dt>"At most"</dt><dd>{most}</dd>
                </dl>
                <p role="status">{move || session.reason.get()}</p>
                <div class="seg seg--fill" role="radiogroup" aria-label="Engine">{choices.collect_view()}</div>
                {gpu}
            </div>
        </details>
    }
}

/// The lab that another page carries: a link to its own.
#[component]
pub fn WholeLab(session: Session) -> impl IntoView {
    let navigator = expect_context::<Navigator>();
    let link = move || {
        let _moved = session.values.get();
        session.address().map(|at| at.text()).unwrap_or_default()
    };
    view! { <a href=link on:click=move |event| navigator.follow(&event, &untrack(link))>"Open the whole lab"</a> }
}
