//! A control for every parameter, made from its declaration. Knows no parameter by name but the seed, which stands
//! in the transport.

use heads_and_tails::chart::Ink;
use heads_and_tails::lab::params::{Kind, ParamProblem, ParamSpec, Part, Scope, Value, Values};
use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;

use crate::icons::{self, icon};

/// Choices with labels of at most this many letters together stand side by side.
const SIDE_BY_SIDE: usize = 24;
/// Letters of the longest choice that still stands beside the name.
const BESIDE: usize = 24;
/// A real parameter that spans more than this is slid along its logarithm.
const LOGARITHMIC: f64 = 100.0;
/// Bars of a painting that is still empty.
const EMPTY_BARS: usize = 32;

/// What every control needs.
#[derive(Clone, Copy)]
struct Knob {
    spec: &'static ParamSpec,
    values: Signal<Values>,
    problems: Signal<Vec<ParamProblem>>,
    on_set: Callback<(String, String)>,
    /// Set by whoever made the link, and not to be changed.
    locked: bool,
}

impl Knob {
    fn text(self) -> String {
        self.values.with(|values| values.get(self.spec.key).map(|value| self.spec.text(value)).unwrap_or_default())
    }

    fn set(self, text: impl Into<String>) {
        self.on_set.run((self.spec.key.to_owned(), text.into()));
    }

    fn default_text(self) -> String {
        self.spec.text(&self.spec.default)
    }

    fn id(self) -> String {
        format!("param-{}", self.spec.key)
    }
}

#[component]
pub fn Controls(
    specs: &'static [ParamSpec],
    #[prop(into)] values: Signal<Values>,
    #[prop(into)] problems: Signal<Vec<ParamProblem>>,
    /// Sets a parameter: key, and text as it stands in a link.
    on_set: Callback<(String, String)>,
    /// A file was given for a parameter: key, name, bytes.
    on_file: Callback<(String, String, Vec<u8>)>,
    /// Parameters that are left out, and those that are shown and held.
    hidden: Callback<&'static str, bool>,
    locked: Callback<&'static str, bool>,
) -> impl IntoView {
    let knob = move |spec: &'static ParamSpec| Knob { spec, values, problems, on_set, locked: locked.run(spec.key) };
    let of =
        |more: bool| specs.iter().filter(move |spec| spec.key != "seed" && spec.more == more && !hidden.run(spec.key));
    let main = of(false).map(|spec| control(knob(spec), on_file)).collect_view();
    let names: Vec<String> = of(true).take(3).map(|spec| spec.name.to_lowercase()).collect();
    let more = (!names.is_empty()).then(|| {
        let rest = of(true).map(|spec| control(knob(spec), on_file)).collect_view();
        view! {
            <details class="more">
                <summary>{format!("More: {} …", names.join(", "))}</summary>
                <div class="group">{rest}</div>
            </details>
        }
    });
    let held: Vec<&str> = of(false).chain(of(true)).filter(|spec| locked.run(spec.key)).map(|spec| spec.name).collect();
    let held = (!held.is_empty()).then(|| {
        view! { <p class="field-help">{format!("Set by whoever made this link: {}.", held.join(", ").to_lowercase())}</p> }
    });
    view! {
        <div class="group">{main}</div>
        {more}
        {held}
    }
}

/// Some controls in one row, for a page that shows a figure of the lab.
#[component]
pub fn FewControls(
    specs: &'static [ParamSpec],
    keys: &'static [&'static str],
    #[prop(into)] values: Signal<Values>,
    #[prop(into)] problems: Signal<Vec<ParamProblem>>,
    on_set: Callback<(String, String)>,
) -> impl IntoView {
    let nothing = Callback::new(|_| ());
    let few = keys.iter().filter_map(|key| specs.iter().find(|spec| spec.key == *key));
    few.map(|spec| control(Knob { spec, values, problems, on_set, locked: false }, nothing)).collect_view()
}

fn control(knob: Knob, on_file: Callback<(String, String, Vec<u8>)>) -> AnyView {
    match &knob.spec.kind {
        Kind::Int { .. } | Kind::Real { .. } => view! { <Number knob/> }.into_any(),
        Kind::Toggle => view! { <Switch knob/> }.into_any(),
        Kind::Choice { options } => view! { <Choice knob options/> }.into_any(),
        Kind::Numbers { .. } => view! { <Painted knob/> }.into_any(),
        Kind::Points { .. } => view! { <Listed knob/> }.into_any(),
        Kind::Text { .. } => view! { <Words knob/> }.into_any(),
        Kind::Pick { .. } | Kind::Picks { .. } => view! { <Picked knob/> }.into_any(),
        &Kind::Secret { part, .. } => view! { <Private knob part/> }.into_any(),
        &Kind::File { most_bytes, accept } => view! { <Dropped knob most_bytes accept on_file/> }.into_any(),
    }
}

/// Name, symbol, the mark that a change restarts the run, and the way back.
#[component]
fn Name(knob: Knob) -> impl IntoView {
    let spec = knob.spec;
    let restarts = (spec.scope == Scope::Run).then(|| {
        view! { <span class="restarts" title="A change starts the run again">{icon(icons::RESTART)}<span class="sr">", restarts the run"</span></span> }
    });
    view! {
        <label for=knob.id() title=spec.help>
            {spec.name}
            {(!spec.symbol.is_empty()).then(|| view! { <span class="sym">{spec.symbol}</span> })}
            {restarts}
        </label>
    }
}

#[component]
fn WayBack(knob: Knob) -> impl IntoView {
    let was = knob.default_text();
    let differs = {
        let was = was.clone();
        Memo::new(move |_| knob.text() != was)
    };
    move || {
        (differs.get() && !knob.locked).then(|| {
            let was = was.clone();
            // A name begins with what is seen, so that whoever says what they see is understood.
            let shown = if was.is_empty() { "clear".to_owned() } else { format!("was {was}") };
            let label = if was.is_empty() { format!("clear {}", knob.spec.name) } else { format!("{shown}: set {} back", knob.spec.name) };
            view! { <button type="button" class="reset" aria-label=label on:click=move |_| knob.set(was.clone())>{shown}</button> }
        })
    }
}

/// What was mended, and under "More" the help.
#[component]
fn Notes(knob: Knob) -> impl IntoView {
    let mended = move || {
        let said = knob.problems.with(|problems| {
            problems.iter().find(|problem| problem.key == knob.spec.key).map(|problem| problem.message.clone())
        });
        said.map(|message| view! { <p class="field-fix" role="note">{message}</p> })
    };
    view! {
        {mended}
        {knob.spec.more.then(|| view! { <p class="field-help">{knob.spec.help}</p> })}
    }
}

#[component]
fn Number(knob: Knob) -> impl IntoView {
    let (min, max, step) = match knob.spec.kind {
        Kind::Int { min, max } => (min as f64, max as f64, 1.0),
        Kind::Real { min, max } => (min, max, 0.0),
        _ => return ().into_any(),
    };
    let logarithmic = step == 0.0 && min > 0.0 && max / min > LOGARITHMIC;
    // The slider runs over a thousand places: even ones, or even in the logarithm.
    let to_place = move |value: f64| {
        if logarithmic { 1000.0 * (value / min).ln() / (max / min).ln() } else { 1000.0 * (value - min) / (max - min) }
    };
    let to_value = move |place: f64| {
        let share = place / 1000.0;
        if logarithmic { min * (max / min).powf(share) } else { min + share * (max - min) }
    };
    let number = move || {
        knob.values.with(|values| match values.get(knob.spec.key) {
            Some(Value::Int(number)) => *number as f64,
            Some(Value::Real(number)) => *number,
            _ => min,
        })
    };
    let text = move || knob.text();
    let slid = move |place: f64| {
        let value = to_value(place);
        if step > 0.0 { format!("{value:.0}") } else { two_digits(value) }
    };
    let slider = NodeRef::<html::Input>::new();
    Effect::new(move |_| {
        let at = if step > 0.0 { 100.0 * (number() - min) / (max - min) } else { to_place(number()) / 10.0 };
        if let Some(slider) = slider.get() {
            // Through the object model: the content policy refuses a style attribute.
            let set = web_sys::HtmlElement::style(&slider).set_property("--at", &format!("{at:.2}%"));
            debug_assert!(set.is_ok());
        }
    });
    let range = if step > 0.0 {
        view! {
            <input class="wide" type="range" disabled=knob.locked min=min max=max step=1 prop:value=move || number().to_string() node_ref=slider
                aria-label=format!("{}, slider", knob.spec.name) on:input=move |event| knob.set(event_target_value(&event))/>
        }
        .into_any()
    } else {
        view! {
            <input class="wide" type="range" disabled=knob.locked min=0 max=1000 step=1 prop:value=move || format!("{:.0}", to_place(number())) node_ref=slider
                aria-label=format!("{}, slider", knob.spec.name) aria-valuetext=text
                on:input=move |event| knob.set(slid(event_target_value(&event).parse().unwrap_or(0.0)))/>
        }
        .into_any()
    };
    view! {
        <div class="field">
            <div class="field-name"><Name knob/><WayBack knob/></div>
            <input type="text" class="number" inputmode="decimal" id=knob.id() disabled=knob.locked prop:value=text
                on:change=move |event| {
                    let input: web_sys::HtmlInputElement = event_target(&event);
                    knob.set(input.value());
                    // A mend can leave the value as it was, and then nothing else would write the field.
                    input.set_value(&untrack(|| knob.text()));
                }/>
            {range}
            <Notes knob/>
        </div>
    }
    .into_any()
}

/// Two significant digits, as a reader would type them.
fn two_digits(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let decimals = (1.0 - value.abs().log10().floor()).clamp(0.0, 9.0) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[component]
fn Switch(knob: Knob) -> impl IntoView {
    let on = move || knob.text() == "true";
    let swatch = knob.spec.swatch.map(|ink| {
        let class = match ink {
            Ink::Baseline => "swatch b",
            Ink::Baseline2 => "swatch b2",
            Ink::Truth => "swatch t",
            Ink::Muted => "swatch muted",
            Ink::Guess => "swatch g",
            Ink::Method | Ink::Data => "swatch",
        };
        view! { <i class=class></i> }
    });
    view! {
        <label class="switch" title=knob.spec.help>
            <input type="checkbox" role="switch" id=knob.id() disabled=knob.locked prop:checked=on
                on:change=move |event| knob.set(event_target_checked(&event).to_string())/>
            {knob.spec.name}
            {swatch}
        </label>
        <Notes knob/>
    }
}

/// One of several that stand side by side.
pub fn radio(
    name: impl Into<String>,
    label: &'static str,
    locked: bool,
    chosen: impl Fn() -> bool + Send + 'static,
    choose: impl Fn() + 'static,
) -> AnyView {
    let name = name.into();
    view! {
        <label>
            <input type="radio" name=name disabled=locked prop:checked=chosen on:change=move |_| choose()/>
            {label}
        </label>
    }
    .into_any()
}

#[component]
fn Choice(knob: Knob, options: &'static [(&'static str, &'static str)]) -> impl IntoView {
    let letters: usize = options.iter().map(|(_, label)| label.chars().count()).sum();
    if options.len() <= 3 && letters <= SIDE_BY_SIDE {
        let radios = options.iter().map(|&(value, label)| {
            radio(knob.id(), label, knob.locked, move || knob.text() == value, move || knob.set(value))
        });
        let label_id = format!("{}-label", knob.id());
        return view! {
            <div class="field">
                <div class="field-name"><span id=label_id.clone() title=knob.spec.help>{knob.spec.name}</span><WayBack knob/></div>
                <div class="seg" role="radiogroup" aria-labelledby=label_id>{radios.collect_view()}</div>
                <Notes knob/>
            </div>
        }
        .into_any();
    }
    // A long answer leaves no room for the question beside it.
    let longest = options.iter().map(|(_, label)| label.chars().count()).max().unwrap_or_default();
    let class = if longest > BESIDE { "wide" } else { "" };
    let choices = options.iter().map(|&(value, label)| {
        view! { <option value=value prop:selected=move || knob.text() == value>{label}</option> }
    });
    view! {
        <div class="field">
            <div class="field-name"><Name knob/></div>
            <select id=knob.id() class=class disabled=knob.locked on:change=move |event| knob.set(event_target_value(&event))>{choices.collect_view()}</select>
            <Notes knob/>
        </div>
    }
    .into_any()
}

/// Bars that are painted with the pointer, or raised one by one with the keys.
#[component]
fn Painted(knob: Knob) -> impl IntoView {
    let heights = move || {
        let list: Vec<f32> = knob.values.with(|values| match values.get(knob.spec.key) {
            Some(Value::Numbers(list)) => list.to_vec(),
            _ => Vec::new(),
        });
        if list.is_empty() { vec![0.0; EMPTY_BARS] } else { list }
    };
    let chosen = RwSignal::new(0_usize);
    let write = move |list: &[f32]| {
        let text: Vec<String> = list.iter().map(|height| two_digits(f64::from(*height))).collect();
        knob.set(text.join(","));
    };
    let raise = move |by: f32| {
        let mut list = untrack(heights);
        let at = chosen.get_untracked().min(list.len() - 1);
        list[at] = (list[at] + by).clamp(0.0, 1.0);
        write(&list);
    };
    let painting = RwSignal::new(false);
    let paint = move |event: &web_sys::PointerEvent| {
        let Some(place) = event.current_target().and_then(|target| target.dyn_into::<web_sys::Element>().ok()) else {
            return;
        };
        let area = place.get_bounding_client_rect();
        let mut list = untrack(heights);
        let share = (f64::from(event.client_x()) - area.left()) / area.width();
        let at = ((share * list.len() as f64) as usize).min(list.len() - 1);
        list[at] = (1.0 - (f64::from(event.client_y()) - area.top()) / area.height()).clamp(0.0, 1.0) as f32;
        chosen.set(at);
        write(&list);
    };
    let bars = move || {
        let list = heights();
        let width = 256.0 / list.len() as f64;
        let now = chosen.get();
        list.iter()
            .enumerate()
            .map(|(index, &height)| {
                let height = f64::from(height) * 62.0 + 1.0;
                let class = if index == now { "bar now" } else { "bar" };
                view! { <rect class=class x=index as f64 * width y=64.0 - height width=(width - 0.5).max(0.5) height=height/> }
            })
            .collect_view()
    };
    let spoken = move || {
        let list = heights();
        let at = chosen.get().min(list.len() - 1);
        format!("bar {} of {}: {:.2}", at + 1, list.len(), list[at])
    };
    let keys = move |event: web_sys::KeyboardEvent| {
        if knob.locked {
            return;
        }
        let last = untrack(heights).len() - 1;
        match event.key().as_str() {
            "ArrowLeft" => chosen.update(|at| *at = at.saturating_sub(1)),
            "ArrowRight" => chosen.update(|at| *at = (*at + 1).min(last)),
            "ArrowUp" => raise(0.05),
            "ArrowDown" => raise(-0.05),
            _ => return,
        }
        event.prevent_default();
    };
    view! {
        <div class="field">
            <div class="field-name"><Name knob/><WayBack knob/></div>
            <svg class="paint wide" viewBox="0 0 256 64" preserveAspectRatio="none" tabindex="0" role="slider"
                aria-label=format!("{}: left and right choose a bar, up and down change it", knob.spec.name)
                aria-valuemin="0" aria-valuemax="1" aria-valuenow=move || {
                    let list = heights();
                    list[chosen.get().min(list.len() - 1)]
                } aria-valuetext=spoken
                on:keydown=keys
                on:pointerdown=move |event| if !knob.locked { painting.set(true); paint(&event); }
                on:pointermove=move |event| if painting.get_untracked() { paint(&event) }
                on:pointerup=move |_| painting.set(false)
                on:pointerleave=move |_| painting.set(false)>
                {bars}
            </svg>
            <details class="wide">
                <summary class="field-help">"Type the numbers"</summary>
                <textarea id=knob.id() disabled=knob.locked rows="2" spellcheck="false" prop:value=move || knob.text()
                    on:change=move |event| knob.set(event_target_value(&event))></textarea>
            </details>
            <Notes knob/>
        </div>
    }
}

/// Points, typed.
#[component]
fn Listed(knob: Knob) -> impl IntoView {
    view! {
        <div class="field">
            <div class="field-name"><Name knob/><WayBack knob/></div>
            <textarea class="wide" id=knob.id() disabled=knob.locked rows="1" spellcheck="false" placeholder="x,y; x,y"
                prop:value=move || knob.text() on:change=move |event| knob.set(event_target_value(&event))></textarea>
            <Notes knob/>
        </div>
    }
}

/// One thing out of many by its number, or some; empty for none.
#[component]
fn Picked(knob: Knob) -> impl IntoView {
    view! {
        <div class="field">
            <div class="field-name"><Name knob/><WayBack knob/></div>
            <input type="text" class="number" inputmode="numeric" placeholder="none" id=knob.id() disabled=knob.locked prop:value=move || knob.text()
                on:change=move |event| {
                    let input: web_sys::HtmlInputElement = event_target(&event);
                    knob.set(input.value());
                    // A mend can leave the value as it was, and then nothing else would write the field.
                    input.set_value(&untrack(|| knob.text()));
                }/>
            <Notes knob/>
        </div>
    }
}

#[component]
fn Words(knob: Knob) -> impl IntoView {
    let long = matches!(knob.spec.kind, Kind::Text { most } if most > 200);
    let write = move |event: web_sys::Event| knob.set(event_target_value(&event));
    let field = if !knob.spec.words.is_empty() {
        view! { <Completed knob/> }.into_any()
    } else if long {
        view! { <textarea class="wide" id=knob.id() disabled=knob.locked rows="3" spellcheck="false" prop:value=move || knob.text() on:change=write></textarea> }.into_any()
    } else {
        view! { <input class="wide" type="text" id=knob.id() disabled=knob.locked prop:value=move || knob.text() on:change=write/> }
            .into_any()
    };
    view! {
        <div class="field">
            <div class="field-name"><Name knob/><WayBack knob/></div>
            {field}
            <Notes knob/>
        </div>
    }
}

/// An address or a key. The browser is asked not to keep it either.
#[component]
fn Private(knob: Knob, part: Part) -> impl IntoView {
    let (kind, mode) = match part {
        Part::Address => ("text", "url"),
        Part::Key => ("password", "text"),
    };
    view! {
        <div class="field">
            <div class="field-name"><Name knob/><WayBack knob/></div>
            <input class="wide" type=kind inputmode=mode autocomplete="off" spellcheck="false" id=knob.id() disabled=knob.locked
                prop:value=move || knob.text() on:change=move |event| knob.set(event_target_value(&event))/>
            <Notes knob/>
            <p class="field-help">"Stays in this tab: in no link, nowhere kept."</p>
        </div>
    }
}

/// A text whose words are offered while they are typed.
#[component]
fn Completed(knob: Knob) -> impl IntoView {
    let field = NodeRef::<leptos::html::Textarea>::new();
    let offered = RwSignal::new((String::new(), Vec::<&'static str>::new()));
    let look = move |_| {
        let Some(field) = field.get_untracked() else { return };
        let place = field.selection_start().ok().flatten().unwrap_or_default() as usize;
        // The browser counts in UTF-16, and the spec in letters.
        let text = field.value();
        let before = String::from_utf16_lossy(&text.encode_utf16().take(place).collect::<Vec<_>>());
        offered.set(knob.spec.completions(&text, before.chars().count()));
    };
    let complete = move |word: &'static str| {
        let Some(field) = field.get_untracked() else { return };
        let end = field.selection_end().ok().flatten().unwrap_or_default();
        let begun = offered.with_untracked(|(begun, _)| begun.encode_utf16().count() as u32);
        let whole = field.set_range_text_with_start_and_end_and_mode(word, end.saturating_sub(begun), end, "end");
        if let Err(error) = whole {
            leptos::logging::error!("the word could not be completed: {error:?}");
        }
        offered.set(Default::default());
        let _focused = field.focus();
    };
    let buttons = move || {
        offered.with(|(begun, words)| {
            (!words.is_empty()).then(|| {
                let each = words.iter().map(|&word| {
                    view! { <button type="button" class="btn btn--quiet btn--s" on:click=move |_| complete(word)>{word}</button> }
                });
                view! {
                    <div class="completions" role="group" aria-label=format!("Words that begin with “{begun}”")>{each.collect_view()}</div>
                }
            })
        })
    };
    view! {
        <textarea class="wide" id=knob.id() disabled=knob.locked rows="5" spellcheck="false" node_ref=field
            prop:value=move || knob.text() on:input=look on:change=move |event| knob.set(event_target_value(&event))></textarea>
        {buttons}
    }
}

#[component]
fn Dropped(
    knob: Knob,
    most_bytes: usize,
    accept: &'static str,
    on_file: Callback<(String, String, Vec<u8>)>,
) -> impl IntoView {
    let refused = RwSignal::new(None::<String>);
    let over = RwSignal::new(false);
    let take = move |file: web_sys::File| {
        if file.size() > most_bytes as f64 {
            let megabytes = most_bytes >> 20;
            refused.set(Some(format!("“{}” is too large; {megabytes} MB is the most.", file.name())));
            return;
        }
        refused.set(None);
        leptos::task::spawn_local(async move {
            match JsFuture::from(file.array_buffer()).await {
                Ok(buffer) => {
                    let bytes = js_sys::Uint8Array::new(&buffer).to_vec();
                    on_file.run((knob.spec.key.to_owned(), file.name(), bytes));
                }
                Err(_) => refused.set(Some(format!("“{}” cannot be read. Choose it again.", file.name()))),
            }
        });
    };
    let first = |files: Option<web_sys::FileList>| files.and_then(|files| files.get(0));
    let name = move || {
        let name = knob.text();
        if name.is_empty() { "Drop a file, or choose one".to_owned() } else { name }
    };
    view! {
        <div class="field">
            <div class="field-name"><span title=knob.spec.help>{knob.spec.name}</span><WayBack knob/></div>
            <label class="drop wide" class:is-over=move || over.get()
                on:dragover=move |event| { event.prevent_default(); over.set(true); }
                on:dragleave=move |_| over.set(false)
                on:drop=move |event| {
                    event.prevent_default();
                    over.set(false);
                    if let Some(file) = first(event.data_transfer().and_then(|transfer| transfer.files())) {
                        take(file);
                    }
                }>
                <span>{name}</span>
                <input type="file" id=knob.id() disabled=knob.locked accept=accept aria-label=knob.spec.name
                    on:change=move |event| {
                        let input: web_sys::HtmlInputElement = event_target(&event);
                        if let Some(file) = first(input.files()) {
                            take(file);
                        }
                        // Or the same file, mended, would be no change.
                        input.set_value("");
                    }/>
            </label>
            {move || refused.get().map(|message| view! { <p class="field-fix" role="note">{message}</p> })}
            <Notes knob/>
        </div>
    }
}
