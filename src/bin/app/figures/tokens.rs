//! Sequences of tokens with who looks at whom, and trees.

use heads_and_tails::lab::panel::{Arc, Token};
use heads_and_tails::lab::{Body, Node, Panel, Tokens};
use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::JsCast;

use super::swatch_class;

/// From this many tokens on, the strip scrolls sideways instead of squeezing them.
const MANY: usize = 16;
/// The box of the arcs, which is stretched over the strip.
const WIDE: f64 = 1000.0;
const HIGH: f64 = 80.0;

/// The strip. Where the panel edits a parameter, a press on a token sets it to the token's place; where tokens may be moved,
/// a drag with the mouse or Alt with an arrow key puts the word of one in the place of another's.
#[component]
pub fn TokenStrip(panel: Signal<Panel>, on_edit: Callback<(String, String)>) -> impl IntoView {
    let tokens = Memo::new(move |_| {
        panel.with(|panel| match &panel.body {
            Body::Tokens(tokens) => tokens.clone(),
            _ => Tokens::default(),
        })
    });
    let title = move || panel.with(|panel| panel.title.clone());
    let count = Memo::new(move |_| tokens.with(|tokens| tokens.tokens.len()));
    let edits = Memo::new(move |_| panel.with(|panel| panel.edits.clone()));
    let movable = Memo::new(move |_| tokens.with(|tokens| tokens.moves.is_some()));
    let wraps = Memo::new(move |_| tokens.with(|tokens| tokens.wraps));
    let held = RwSignal::new(None::<usize>);
    let strip = NodeRef::<html::Div>::new();
    let move_word = move |from: usize, to: usize| {
        let moved = tokens
            .with_untracked(|tokens| tokens.moves.as_ref().map(|moves| (moves.key.clone(), moves.moved(from, to))));
        if let Some((key, Some(text))) = moved {
            on_edit.run((key, text));
            if let Some(button) = token_at(strip, to) {
                let _focused = button.focus();
            }
        }
    };
    // One element a token for as long as there are as many: a frame must not take the focus away.
    let row = move || {
        let pressed = edits.get().is_some();
        let each = (0..count.get()).map(|index| {
            let token = Memo::new(move |_| tokens.with(|tokens| tokens.tokens.get(index).cloned().unwrap_or_default()));
            let class = move || token.with(token_class);
            let text = move || token.with(token_text);
            if !pressed {
                let chosen = move || token.with(|token| token.chosen.then_some("true"));
                return view! { <li class=class aria-current=chosen>{text}</li> }.into_any();
            }
            let press = move |_| {
                if let Some(key) = edits.get_untracked() {
                    on_edit.run((key, index.to_string()));
                }
            };
            let grab = move |event: web_sys::PointerEvent| {
                // A finger scrolls the strip.
                held.set((movable.get_untracked() && event.pointer_type() != "touch").then_some(index));
            };
            let key = move |event: web_sys::KeyboardEvent| {
                let step: isize = match event.key().as_str() {
                    "ArrowLeft" => -1,
                    "ArrowRight" => 1,
                    _ => return,
                };
                if !event.alt_key() || !movable.get_untracked() {
                    return;
                }
                event.prevent_default();
                let beside = tokens.with_untracked(|tokens| {
                    let words = &tokens.moves.as_ref()?.word_of;
                    let wanted = words.get(index)?.checked_add_signed(step)?;
                    words.iter().position(|word| *word == wanted)
                });
                if let Some(to) = beside {
                    move_word(index, to);
                }
            };
            view! {
                <button type="button" class=class class:is-held=move || held.get() == Some(index) data-token=index.to_string()
                    aria-pressed=move || token.with(|token| token.chosen.to_string())
                    aria-keyshortcuts=move || movable.get().then_some("Alt+ArrowLeft Alt+ArrowRight")
                    on:click=press on:pointerdown=grab on:keydown=key>{text}</button>
            }
            .into_any()
        });
        let each = each.collect_view();
        let class = if wraps.get() { "tokens is-text" } else { "tokens" };
        if pressed {
            view! { <div class=class>{each}</div> }.into_any()
        } else {
            view! { <ol class=class>{each}</ol> }.into_any()
        }
    };
    let drop = move |event: web_sys::PointerEvent| {
        let Some(from) = held.get_untracked() else { return };
        held.set(None);
        let under = document().element_from_point(event.client_x() as f32, event.client_y() as f32);
        let token = under.and_then(|element| element.closest("[data-token]").ok().flatten());
        let to = token.filter(|token| strip.get_untracked().is_some_and(|strip| strip.contains(Some(token))));
        if let Some(to) = to.and_then(|token| token.get_attribute("data-token")).and_then(|to| to.parse().ok()) {
            move_word(from, to);
        }
    };
    let class = move || if count.get() >= MANY && !wraps.get() { "strip" } else { "" };
    let arcs = move |above: bool| move || tokens.with(|tokens| arcs_of(&tokens.arcs, tokens.tokens.len(), above));
    view! {
        <div class="strip-wrap" class:is-movable=movable tabindex="0" role="group" aria-label=title node_ref=strip
            on:pointerup=drop on:pointercancel=move |_| held.set(None)>
            <div class=class>{arcs(true)}{row}{arcs(false)}</div>
        </div>
    }
}

/// The tokens as a picture, which cannot be touched.
pub fn still(tokens: &Tokens) -> impl IntoView + use<> {
    let each = tokens.tokens.iter().map(|token| view! { <span class=token_class(token)>{token_text(token)}</span> });
    view! { <div class="tokens is-text" aria-hidden="true">{each.collect_view()}</div> }
}

/// The element of a token, where tokens can be pressed.
fn token_at(strip: NodeRef<html::Div>, index: usize) -> Option<web_sys::HtmlElement> {
    let found = strip.get_untracked()?.query_selector(&format!("[data-token='{index}']")).ok().flatten()?;
    found.dyn_into().ok()
}

fn token_class(token: &Token) -> String {
    token.class.map_or("token".to_owned(), |class| format!("token cat-{}", class % 8 + 1))
}

fn token_text(token: &Token) -> impl IntoView + use<> {
    let note = (!token.note.is_empty()).then(|| view! { <small>{token.note.clone()}</small> });
    view! { <span>{token.text.clone()}" "{note}</span> }
}

/// The arcs of one side; no room is kept where there are none.
fn arcs_of(arcs: &[Arc], count: usize, above: bool) -> Option<impl IntoView + use<>> {
    let paths: Vec<_> = arcs.iter().filter(|arc| arc.above == above).map(|arc| arc_path(arc, count.max(1))).collect();
    (!paths.is_empty()).then(|| {
        view! { <svg class="arcs" viewBox=format!("0 0 {WIDE} {HIGH}") preserveAspectRatio="none" aria-hidden="true">{paths}</svg> }
    })
}

/// From one token to another, thicker and darker the more it looks, higher the farther.
fn arc_path(arc: &Arc, count: usize) -> impl IntoView + use<> {
    let middle = |index: usize| WIDE * (index as f64 + 0.5) / count as f64;
    let (from, to) = (middle(arc.from), middle(arc.to));
    let share = f64::from(arc.share).clamp(0.0, 1.0);
    // A token that looks at itself is a loop over its own width.
    let (from, to) = if arc.from == arc.to {
        (from - 0.3 * WIDE / count as f64, to + 0.3 * WIDE / count as f64)
    } else {
        (from, to)
    };
    let rise = HIGH * (0.35 + 0.65 * (to - from).abs() / WIDE);
    let (foot, top) = if arc.above { (HIGH, HIGH - rise * 1.3) } else { (0.0, rise * 1.3) };
    let path = format!("M{from:.1} {foot} C{from:.1} {top:.1} {to:.1} {top:.1} {to:.1} {foot}");
    let class = if share >= 0.5 { "arc-2" } else { "arc-1" };
    view! { <path class=class d=path stroke-width=format!("{:.1}", 0.5 + 7.5 * share) stroke-opacity=format!("{:.2}", 0.25 + 0.75 * share) vector-effect="non-scaling-stroke"/> }
}

#[component]
pub fn TreeList(panel: Signal<Panel>) -> impl IntoView {
    let title = move || panel.with(|panel| panel.title.clone());
    let content = move || {
        panel.with(|panel| match &panel.body {
            Body::Tree(tree) => Some(branch(&tree.nodes, None)),
            _ => None,
        })
    };
    view! { <div class="tbl-wrap" tabindex="0" role="group" aria-label=title>{content}</div> }
}

/// The nodes under a parent. It ends, because only a node that comes after its parent counts as its child.
fn branch(nodes: &[Node], parent: Option<usize>) -> AnyView {
    let is_child =
        |(index, node): &(usize, &Node)| node.parent == parent && parent.is_none_or(|parent| parent < *index);
    let items = nodes.iter().enumerate().filter(is_child).map(|(index, node)| {
        let inner = nodes.iter().skip(index + 1).any(|child| child.parent == Some(index));
        view! {
            <li aria-current=node.chosen.then_some("true")>
                <i class=swatch_class(node.ink)></i>" "{node.text.clone()}" "<small>{node.note.clone()}</small>
                {inner.then(|| branch(nodes, Some(index)))}
            </li>
        }
    });
    view! { <ul class="tree">{items.collect_view()}</ul> }.into_any()
}
