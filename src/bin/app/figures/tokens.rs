//! Sequences of tokens with who looks at whom, and trees.

use heads_and_tails::lab::panel::{Arc, Token};
use heads_and_tails::lab::{Body, Node, Panel, Tokens};
use leptos::prelude::*;

use super::swatch_class;

/// From this many tokens on, the strip scrolls sideways instead of squeezing them.
const MANY: usize = 16;
/// The box of the arcs, which is stretched over the strip.
const WIDE: f64 = 1000.0;
const HIGH: f64 = 80.0;

/// The strip. Where the panel edits a parameter, a press on a token sets it to the token's place.
#[component]
pub fn TokenStrip(panel: Signal<Panel>, on_edit: Callback<(String, String)>) -> impl IntoView {
    let title = move || panel.with(|panel| panel.title.clone());
    let content = move || {
        panel.with(|panel| match &panel.body {
            Body::Tokens(tokens) => Some(strip(tokens, panel.edits.clone(), on_edit)),
            _ => None,
        })
    };
    view! { <div class="strip-wrap" tabindex="0" role="group" aria-label=title>{content}</div> }
}

fn strip(
    Tokens { tokens, arcs }: &Tokens,
    edits: Option<String>,
    on_edit: Callback<(String, String)>,
) -> impl IntoView + use<> {
    let class = if tokens.len() >= MANY { "strip" } else { "" };
    let (above, below) = (arcs_of(arcs, tokens.len(), true), arcs_of(arcs, tokens.len(), false));
    let row = match edits {
        Some(key) => {
            let buttons = tokens.iter().enumerate().map(|(index, token)| {
                let key = key.clone();
                let press = move |_| on_edit.run((key.clone(), index.to_string()));
                view! { <button type="button" class=token_class(token) aria-pressed=token.chosen.to_string() on:click=press>{token_text(token)}</button> }
            });
            view! { <div class="tokens">{buttons.collect_view()}</div> }.into_any()
        }
        None => {
            let items = tokens.iter().map(|token| {
                view! { <li class=token_class(token) aria-current=token.chosen.then_some("true")>{token_text(token)}</li> }
            });
            view! { <ol class="tokens">{items.collect_view()}</ol> }.into_any()
        }
    };
    view! { <div class=class>{above}{row}{below}</div> }
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
