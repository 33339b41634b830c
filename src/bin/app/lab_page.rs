//! The page of one lab: transport, figures, controls, prose. Nothing here knows a lab by name.

use heads_and_tails::drive::{Engine, Phase, Speed};
use heads_and_tails::lab::params::{Value, Values};
use heads_and_tails::lab::{BatchSpec, Body, Panel, Paper};
use heads_and_tails::labs::{CATALOGUE, Entry};
use leptos::ev;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;

use crate::address::Address;
use crate::claims::Claims;
use crate::controls::Controls;
use crate::engine::Adapter;
use crate::figures::Figure;
use crate::head::SiteHead;
use crate::session::Session;
use crate::{Navigator, own_link};

/// The labs that stand on the page of this paper.
pub fn labs_of(paper: &'static Paper) -> impl Iterator<Item = &'static Entry> {
    let of_paper = |entry: &&'static Entry| entry.card.papers.first().is_some_and(|first| first.slug == paper.slug);
    CATALOGUE.iter().filter(of_paper)
}

/// The text of a file of the site, or nothing.
pub async fn fetch_text(path: &str) -> Option<String> {
    let response = JsFuture::from(window().fetch_with_str(path)).await.ok()?;
    let response: web_sys::Response = response.dyn_into().ok()?;
    if !response.ok() {
        return None;
    }
    JsFuture::from(response.text().ok()?).await.ok()?.as_string()
}

#[component]
pub fn LabPage(entry: &'static Entry, at: Address) -> impl IntoView {
    let card = entry.card;
    document().set_title(&format!("{} · Heads & Tails", card.title));
    let (embed, only) = (at.embed, at.panel.clone());
    let session = Session::open(entry, at);
    if embed {
        return view! {
            <main id="main" class="embed-frame">
                <h1 class="sr">{card.title}</h1>
                <Notices session/>
                <Bench session only/>
                <Transport session slim=true/>
            </main>
        }
        .into_any();
    }
    let shortcuts = window_event_listener(ev::keydown, move |event| shortcut(session, &event));
    on_cleanup(move || shortcuts.remove());
    let sheet = RwSignal::new(false);
    view! {
        <SiteHead tools=view! { <CopyLink session/> }.into_any()/>
        <main id="main" class:sheet-open=move || sheet.get()>
            <Head entry/>
            <Transport session slim=false sheet=sheet/>
            <Mends session/>
            <Notices session/>
            <div class="lab">
                <Bench session only/>
                <aside class="rail-box" id="controls" aria-label="Controls">
                    <form class="params" on:submit=|event| event.prevent_default()>
                        <Presets session/>
                        <Controls specs=entry.specs values=session.values problems=session.problems
                            on_set=Callback::new(move |(key, text): (String, String)| session.set(&key, &text))
                            on_file=Callback::new(move |(key, name, bytes): (String, String, Vec<u8>)| session.file(&key, &name, bytes))/>
                        <Batches session/>
                    </form>
                </aside>
                <Article session/>
            </div>
        </main>
    }
    .into_any()
}

/// Single keys, off while a field has the focus.
fn shortcut(session: Session, event: &web_sys::KeyboardEvent) {
    let typing = document().active_element().is_some_and(|element| {
        element.matches("input, textarea, select, [role=slider], .plot-wrap, summary, button, a").unwrap_or(false)
    });
    if typing || event.ctrl_key() || event.meta_key() || event.alt_key() {
        return;
    }
    match event.key().as_str() {
        " " => session.play_or_pause(),
        "." => session.step_once(),
        "r" => session.restart(),
        "s" => next_seed(session),
        _ => return,
    }
    event.prevent_default();
}

#[component]
fn Head(entry: &'static Entry) -> impl IntoView {
    let navigator = expect_context::<Navigator>();
    let card = entry.card;
    let paper = card.papers.first();
    let tabs = paper.into_iter().flat_map(labs_of).map(|lab| {
        let link = format!("?lab={}", lab.card.slug);
        let go = link.clone();
        let current = (lab.card.slug == card.slug).then_some("page");
        view! { <a href=link aria-current=current on:click=move |event| navigator.follow(&event, &go)>{lab.card.title}</a> }
    });
    view! {
        <div class="lab-head">
            <h1>{paper.map(|paper| paper.name)}</h1>
            <p class="hook">{card.hook}</p>
            <p class="paper">{paper.map(|paper| paper.cite)}</p>
        </div>
        <nav class="tabs" aria-label="Labs of this paper">{tabs.collect_view()}</nav>
    }
}

#[component]
fn Transport(session: Session, slim: bool, #[prop(optional)] sheet: Option<RwSignal<bool>>) -> impl IntoView {
    let running = move || session.playing.get() && session.progress.with(|progress| progress.phase != Phase::Done);
    let of = move || session.progress.with(|progress| progress.of);
    let step = move || session.look.get().unwrap_or_else(|| session.progress.with(|progress| progress.step));
    let left = move || {
        session.progress.with(|progress| match (progress.of, progress.rate > 0.0 && progress.phase == Phase::Running) {
            (Some(of), true) => format!("{:.0} s left", (of.saturating_sub(progress.step)) as f64 / progress.rate),
            _ => String::new(),
        })
    };
    let speeds = Speed::ALL.iter().map(|&speed| {
        view! {
            <label>
                <input type="radio" name="speed" prop:checked=move || session.speed.get() == speed
                    on:change=move |_| session.set_speed(speed)/>
                {speed.label()}
            </label>
        }
    });
    let seed = move || seed_of(&session.values.get()).to_string();
    view! {
        <div class=move || if running() { "transport is-running" } else { "transport" } role="group" aria-label="Run">
            <div class="keys">
                <button type="button" class="btn btn--icon" title="Restart (R)" aria-label="Restart" on:click=move |_| session.restart()>
                    <span aria-hidden="true">"↺"</span>
                </button>
                <button type="button" class="btn btn--primary play" on:click=move |_| session.play_or_pause()>
                    <span>{move || if running() { "Pause" } else { "Play" }}</span>
                </button>
                <button type="button" class="btn btn--icon" title="One step (.)" aria-label="One step" on:click=move |_| session.step_once()>
                    <span aria-hidden="true">"⇥"</span>
                </button>
            </div>
            <div class="seg desk" role="radiogroup" aria-label="Speed">{speeds.collect_view()}</div>
            <div class="run">
                <span class="count">
                    {move || session.look.get().map(|_| "Looking at step ")}
                    <output id="count">{step}</output>
                    {move || of().map(|of| format!(" of {of} steps"))}
                </span>
                <span class="eta">{left}</span>
                <TimeLine session/>
            </div>
            {(!slim).then(|| view! {
                <div class="field-inline desk">
                    <label for="seed">"Seed"</label>
                    <input type="number" id="seed" min="0" max="9999" prop:value=seed
                        on:change=move |event| session.set("seed", &event_target_value(&event))/>
                    <button type="button" class="btn btn--icon" title="Next seed (S)" aria-label="Next seed" on:click=move |_| next_seed(session)>
                        <span aria-hidden="true">"⚄"</span>
                    </button>
                </div>
                <EngineFacts session/>
            })}
            {sheet.map(|sheet| view! {
                <button type="button" class="btn phone" aria-expanded=move || sheet.get().to_string() aria-controls="controls"
                    on:click=move |_| sheet.update(|open| *open = !*open)>"Controls"</button>
            })}
        </div>
    }
}

fn seed_of(values: &Values) -> i64 {
    match values.get("seed") {
        Some(Value::Int(seed)) => *seed,
        _ => 0,
    }
}

fn next_seed(session: Session) {
    let next = (session.values.with_untracked(seed_of) + 1) % 10_000;
    session.set("seed", &next.to_string());
}

/// Progress, and every recorded step to look back at while the run goes on.
#[component]
fn TimeLine(session: Session) -> impl IntoView {
    let of = move || session.progress.with(|progress| progress.of.unwrap_or(progress.step).max(1));
    let recorded = Memo::new(move |_| session.progress.with(|progress| progress.recorded));
    let at = move || session.look.get().unwrap_or_else(|| session.progress.with(|progress| progress.step));
    let slider = NodeRef::<leptos::html::Input>::new();
    Effect::new(move |_| {
        if let Some(slider) = slider.get() {
            // Through the object model: the content policy refuses a style attribute.
            let share = format!("{:.2}%", 100.0 * at() as f64 / of() as f64);
            let set = web_sys::HtmlElement::style(&slider).set_property("--at", &share);
            debug_assert!(set.is_ok());
        }
    });
    view! {
        <progress max=of prop:value=move || session.progress.with(|progress| progress.step) aria-label="Progress of the run"></progress>
        <div class="timeline">
            <input type="range" min="0" max=of step="1" aria-label="Look at an earlier step" node_ref=slider
                prop:value=move || at().to_string()
                on:input=move |event| {
                    let at: u64 = event_target_value(&event).parse().unwrap_or(0);
                    session.look_at((at <= recorded.get_untracked()).then_some(at));
                }/>
            {move || session.look.get().map(|_| view! {
                <button type="button" class="btn btn--s" on:click=move |_| session.look_at(None)>"Back to now"</button>
            })}
        </div>
    }
}

/// Which engine runs, how fast, and why it was chosen.
#[component]
fn EngineFacts(session: Session) -> impl IntoView {
    let name = move || if session.running_on.get() == Engine::Gpu { "WebGPU" } else { "CPU" };
    let rate = move || {
        session
            .progress
            .with(|progress| if progress.rate > 0.0 { format!("{:.0} steps/s", progress.rate) } else { String::new() })
    };
    let most = move || {
        session.progress.with(|progress| {
            if progress.most > 0.0 { format!("{:.0} steps/s", progress.most) } else { "not measured yet".to_owned() }
        })
    };
    let on_cpu = move || match (session.running_on.get(), session.progress.with(|progress| progress.on_cpu)) {
        (Engine::Gpu, 0) => "none of its operations".to_owned(),
        (Engine::Gpu, some) => format!("{some} of its operations"),
        _ => "all of it".to_owned(),
    };
    let choices = Engine::ALL.iter().map(|&engine| {
        view! {
            <label>
                <input type="radio" name="engine" prop:checked=move || session.engine.get() == engine on:change=move |_| session.set_engine(engine)/>
                {engine.label()}
            </label>
        }
    });
    let gpu = move || {
        let offered = session.running_on.get() != Engine::Gpu;
        match session.adapter.get() {
            Adapter::Unknown => ().into_any(),
            Adapter::None => view! { <p>"No WebGPU here. The CPU engine runs everything."</p> }.into_any(),
            Adapter::Fallback | Adapter::Real => view! {
                {(session.adapter.get() == Adapter::Fallback).then(|| view! { <p>"This WebGPU is software: right results, slowly."</p> })}
                {offered.then(|| view! { <button type="button" class="btn" on:click=move |_| session.set_engine(Engine::Gpu)>"Run on WebGPU"</button> })}
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

/// Mends of what has no control: keys that this lab does not have.
#[component]
fn Mends(session: Session) -> impl IntoView {
    let known = move |key: &str| session.entry.specs.iter().any(|spec| spec.key == key && spec.key != "seed");
    move || {
        let said: Vec<String> = session.problems.with(|problems| {
            problems.iter().filter(|problem| !known(&problem.key)).map(|problem| problem.message.clone()).collect()
        });
        (!said.is_empty()).then(|| {
            let said = said.into_iter().map(|message| view! { <p>{message}</p> }).collect_view();
            view! { <div class="notices"><div class="notice notice--warn" role="status"><span></span><div>{said}</div></div></div> }
        })
    }
}

#[component]
fn Notices(session: Session) -> impl IntoView {
    move || {
        session.notice.get().map(|notice| {
            let (class, role) = if notice.calm { ("notice", "status") } else { ("notice notice--error", "alert") };
            let acts = notice.acts.into_iter().map(|act| {
                view! { <button type="button" class="btn" on:click=move |_| session.act(act)>{act.label()}</button> }
            });
            view! {
                <div class="notices">
                    <div class=class role=role><span></span><p>{notice.message}</p><div class="acts">{acts.collect_view()}</div></div>
                </div>
            }
        })
    }
}

/// The figures: the lab's own, then those of its batches.
#[component]
fn Bench(session: Session, only: Option<String>) -> impl IntoView {
    let panels = Memo::new(move |_| {
        let mut panels =
            session.frame.with(|frame| frame.as_ref().map(|frame| frame.panels.clone()).unwrap_or_default());
        session.rows.with(|rows| {
            for batch in session.entry.card.batches {
                if let Some(rows) = rows.get(batch.id).filter(|rows| !rows.is_empty()) {
                    panels.extend((batch.draw)(rows));
                }
            }
        });
        panels
    });
    let names = Memo::new(move |_| {
        let (mut figures, mut tables) = (0, 0);
        let named = |panel: &Panel| {
            let label = match panel.body {
                Body::Table(_) | Body::Readouts(_) => {
                    tables += 1;
                    format!("Table {tables}")
                }
                _ => {
                    figures += 1;
                    format!("Fig. {figures}")
                }
            };
            (panel.id.clone(), label)
        };
        let mut names: Vec<(String, String)> = panels.with(|panels| panels.iter().map(named).collect());
        if let Some(only) = &only {
            names.retain(|(id, _)| id == only);
        }
        names
    });
    let on_edit = Callback::new(move |(key, text): (String, String)| session.set(&key, &text));
    view! {
        <div class="bench">
            <For each=move || names.get() key=|name| name.clone() let:name>
                {
                    let (id, label) = name;
                    let panel = Memo::new(move |before: Option<&Panel>| {
                        panels.with(|panels| panels.iter().find(|panel| panel.id == id).cloned()).or_else(|| before.cloned()).unwrap_or_else(nothing)
                    });
                    view! { <Figure label panel on_edit on_hold=Callback::new(move |on| session.hold(on))/> }
                }
            </For>
        </div>
    }
}

/// What stands for a panel in the moment in which it goes.
fn nothing() -> Panel {
    Panel::new("nothing", "", "", 2, Body::Readouts(Vec::new()))
}

#[component]
fn Presets(session: Session) -> impl IntoView {
    let specs = session.entry.specs;
    let chips = session.entry.card.presets.iter().map(|preset| {
        let link = format!("?lab={}#{}", session.entry.card.slug, preset.query);
        let current = move || {
            let mut wanted = Values::from_query(specs, preset.query).0;
            session.values.with(|values| {
                let _same_seed = wanted.set("seed", &seed_of(values).to_string());
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
            let link = format!("?lab={}#{}", session.entry.card.slug, offer.query);
            view! { <a class="chip" href=link on:click=move |event| { event.prevent_default(); session.merge_query(&offer.query); }>{offer.label}</a> }
        }).collect_view()
    };
    view! { <div class="group span"><h2>"Try this"</h2><div class="chips">{chips.collect_view()}{offered}</div></div> }
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
    view! {
        <button type="button" class="btn" on:click=press>{label}</button>
        {move || busy.get().then(|| view! { <progress max=move || all.get() prop:value=move || done.get() aria-label=batch.label></progress> })}
    }
}

#[component]
fn CopyLink(session: Session) -> impl IntoView {
    let copied = RwSignal::new(false);
    let copy = move |_| {
        let Some(address) = session.address() else { return };
        crate::address::mirror(&address.text());
        let link = window().location().href().unwrap_or_default();
        leptos::task::spawn_local(async move {
            let written = JsFuture::from(window().navigator().clipboard().write_text(&link)).await;
            copied.set(written.is_ok());
        });
    };
    view! { <button type="button" class="btn btn--quiet" on:click=copy>{move || if copied.get() { "Link copied" } else { "Copy link" }}</button> }
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
                <a href=arxiv rel="noreferrer">{format!("arXiv {}", paper.arxiv)}</a>", "
                <a href=paper.repository rel="noreferrer">"the authors’ code"</a>"."
            </p>
        }
    });
    view! {
        <article class="article" on:click=follow>
            {move || prose.get().flatten().map(|html| view! { <div class="prose" inner_html=html></div> })}
            <div class="claims"><Claims session/></div>
            <div class="prose"><h2>"The paper"</h2>{sources.collect_view()}</div>
        </article>
    }
}
