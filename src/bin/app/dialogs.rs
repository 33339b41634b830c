//! What opens above the page: the keys, the code of an embed, a link that the clipboard refused.

use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;

use crate::address::Address;
use crate::icons::{self, icon};
use crate::pair::Pair;

/// Keys that work wherever no field has the focus: key, what it does, and how.
pub const SHORTCUTS: &[(&str, &str, fn(Pair))] = &[
    ("Space", "play, pause", |pair| pair.play_or_pause()),
    (".", "one step", |pair| pair.each(|session| session.step_once())),
    ("R", "restart", |pair| pair.each(|session| session.restart())),
    ("S", "next seed", |pair| pair.first.next_seed()),
    ("Z", "undo a change", |pair| pair.first.undo()),
    ("Y", "redo it", |pair| pair.first.redo()),
    ("C", "compare two settings, or end it", |pair| {
        pair.compare(pair.first.compare.with_untracked(Option::is_none));
    }),
    ("?", "these keys", |_| ()),
];

/// Keys inside a figure that has the focus.
pub const FIGURE_KEYS: &[(&str, &str)] = &[
    ("← →", "read the next value, or move a handle"),
    ("↑ ↓", "the next row of a map, or move a handle"),
    ("Home End", "the first value, the last"),
    ("N P", "the next handle, the one before"),
    ("Shift", "with an arrow: a handle moves five times as far"),
    ("Ctrl", "with an arrow: a tenth as far"),
    ("Esc", "stop reading"),
];

/// A dialog that its button opens; the browser keeps the focus in it and gives it back.
#[component]
pub fn Modal(open: RwSignal<bool>, #[prop(into)] title: String, children: Children) -> impl IntoView {
    let dialog = NodeRef::<html::Dialog>::new();
    Effect::new(move |_| {
        let Some(dialog) = dialog.get() else { return };
        if !open.get() {
            dialog.close();
        } else if !dialog.open() && dialog.show_modal().is_err() {
            leptos::logging::log!("the dialog cannot be opened");
        }
    });
    let id = format!("dialog-{}", title.to_lowercase().replace(' ', "-"));
    view! {
        <dialog node_ref=dialog aria-labelledby=id.clone() on:close=move |_| open.set(false)>
            <div class="dialog-head">
                <h2 id=id.clone()>{title}</h2>
                <button type="button" class="btn btn--quiet btn--icon" aria-label="Close" on:click=move |_| open.set(false)>{icon(icons::CROSS)}</button>
            </div>
            {children()}
        </dialog>
    }
}

/// The keys, for the dialog and for the about page.
#[component]
pub fn KeyList() -> impl IntoView {
    let row = |key: &str, what: &str| view! { <div><dt><kbd class="kbd">{key.to_owned()}</kbd></dt><dd>{what.to_owned()}</dd></div> };
    view! {
        <dl class="keys-list">{SHORTCUTS.iter().map(|(key, what, _)| row(key, what)).collect_view()}</dl>
        <h3>"In a figure"</h3>
        <dl class="keys-list">{FIGURE_KEYS.iter().map(|(key, what)| row(key, what)).collect_view()}</dl>
    }
}

#[component]
pub fn KeysDialog(open: RwSignal<bool>) -> impl IntoView {
    view! {
        <Modal open title="Keys">
            <p>"They work while no field has the focus."</p>
            <KeyList/>
        </Modal>
    }
}

/// How tall a whole lab's frame is to be, in pixels: a figure and its controls. The rest is scrolled to.
const WHOLE_LAB: i32 = 800;

/// The code that puts this lab, or one of its figures, into another page.
#[component]
pub fn EmbedDialog(open: RwSignal<bool>, pair: Pair) -> impl IntoView {
    let panel = RwSignal::new(String::new());
    let figures = move || {
        pair.first.frame.with(|frame| {
            let panels = frame.iter().flat_map(|frame| &frame.panels);
            panels.map(|panel| view! { <option value=panel.id.clone()>{format!("{} ({})", panel.title, panel.id)}</option> }).collect_view()
        })
    };
    let code = move || {
        let _again = (open.get(), pair.first.values.get(), pair.first.compare.get());
        let Some(here) = pair.first.address() else { return String::new() };
        let panels: Vec<String> = Some(panel.get()).filter(|panel| !panel.is_empty()).into_iter().collect();
        let height = panels.first().and_then(|panel| height_of(panel)).unwrap_or(WHOLE_LAB);
        let link = Address { embed: true, panels, ..here }.text();
        let location = window().location();
        let site = format!("{}{}", location.origin().unwrap_or_default(), location.pathname().unwrap_or_default());
        let title = pair.first.entry.card.hook.replace('"', "&quot;");
        let link = link.replace('&', "&amp;");
        format!("<iframe src=\"{site}{link}\" title=\"{title}\" width=\"720\" height=\"{height}\"></iframe>")
    };
    let (field, copied) = (NodeRef::<html::Textarea>::new(), RwSignal::new(false));
    let copy = move |_| {
        let Some(field) = field.get_untracked() else { return };
        let code = field.value();
        // Marked, so that the keys copy it where the clipboard is refused.
        field.select();
        leptos::task::spawn_local(async move { copied.set(write_to_clipboard(&code).await) });
    };
    Effect::new(move |_| {
        let _again = (open.get(), panel.get());
        copied.set(false);
    });
    view! {
        <Modal open title="Embed">
            <p>"Paste this into a page. It works in a sandboxed frame too, and tells its page how tall it is."</p>
            <div class="field">
                <label for="embed-panel">"What is shown"</label>
                <select id="embed-panel" on:change=move |event| panel.set(event_target_value(&event))>
                    <option value="">"the whole lab"</option>
                    {figures}
                </select>
                <textarea class="wide" rows="5" readonly aria-label="Code of the embed" node_ref=field prop:value=code></textarea>
                <button type="button" class="btn" on:click=copy>{icon(icons::LINK)}{move || if copied.get() { "Code copied" } else { "Copy the code" }}</button>
                <span class="sr" role="status">{move || copied.get().then_some("Code copied")}</span>
            </div>
        </Modal>
    }
}

/// How tall the frame of a figure is to be: as the figure is here, with the bar below it.
fn height_of(panel: &str) -> Option<i32> {
    const BAR: i32 = 64;
    const ROUND: i32 = 20;
    let figure = document().get_element_by_id(panel)?.dyn_into::<web_sys::HtmlElement>().ok()?;
    Some((figure.offset_height() + BAR + ROUND - 1) / ROUND * ROUND)
}

/// Writes to the clipboard; whether it could. There is none outside a secure context, and some frames are refused it.
pub async fn write_to_clipboard(text: &str) -> bool {
    let clipboard = js_sys::Reflect::get(&window().navigator(), &"clipboard".into());
    let there = clipboard.is_ok_and(|clipboard| !clipboard.is_undefined());
    there && JsFuture::from(window().navigator().clipboard().write_text(text)).await.is_ok()
}

/// The link to what is seen, for a browser that gives no access to its clipboard.
#[component]
pub fn LinkDialog(open: RwSignal<bool>) -> impl IntoView {
    let link = move || {
        let _again = open.get();
        window().location().href().unwrap_or_default()
    };
    view! {
        <Modal open title="Link">
            <p>"This browser does not let a page copy here. Copy the link from this field."</p>
            <textarea class="wide" rows="4" readonly aria-label="Link to this state" prop:value=link></textarea>
        </Modal>
    }
}
