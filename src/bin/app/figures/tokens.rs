//! Sequences of tokens with the arcs between them.

use heads_and_tails::lab::panel::{Arc, Token};
use heads_and_tails::lab::{Body, Panel, Tokens};
use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::JsCast;

use crate::watch::resized;

/// From this many tokens on, the strip scrolls sideways instead of squeezing them.
const MANY: usize = 16;
/// The box of the arcs, which is stretched over the strip.
const WIDE: f64 = 1000.0;
const HIGH: f64 = 80.0;

/// The strip. Where the panel edits a parameter, a press on a token sets it to the token's place. All of them are one stop
/// of the Tab key, the chosen token, and arrow keys lead from there. Where tokens may be moved, a drag with the mouse or Alt
/// with an arrow key puts the word of one in the place of another's.
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
    let focused = RwSignal::new(None::<usize>);
    let pointed = RwSignal::new(None::<usize>);
    let stop = Memo::new(move |_| {
        let chosen = || tokens.with(|tokens| tokens.tokens.iter().position(|token| token.chosen));
        focused.get().or_else(chosen).unwrap_or(0).min(count.get().saturating_sub(1))
    });
    let lit = Memo::new(move |_| pointed.get().or(focused.get()));
    let strip = NodeRef::<html::Div>::new();
    let move_word = move |from: usize, to: usize| {
        let moved = tokens
            .with_untracked(|tokens| tokens.moves.as_ref().map(|moves| (moves.key.clone(), moves.moved(from, to))));
        if let Some((key, Some(text))) = moved {
            on_edit.run((key, text));
            focus(strip, to);
        }
    };
    // One element a token for as long as there are as many: a frame must not take the focus away.
    let row = move || {
        let pressed = edits.get().is_some();
        let each = (0..count.get()).map(|index| {
            let token = Memo::new(move |_| tokens.with(|tokens| tokens.tokens.get(index).cloned().unwrap_or_default()));
            let class = move || token.with(token_class);
            let text = move || token.with(token_text);
            let (enter, leave) = (move |_| pointed.set(Some(index)), move |_| pointed.set(None));
            if !pressed {
                let chosen = move || token.with(|token| token.chosen.then_some("true"));
                return view! {
                    <li class=class aria-current=chosen data-token=index.to_string()
                        on:pointerenter=enter on:pointerleave=leave>{text}</li>
                }
                .into_any();
            }
            let press = move |_| {
                if let Some(key) = edits.get_untracked() {
                    on_edit.run((key, tokens.with_untracked(|tokens| after_press(tokens, index))));
                }
            };
            let grab = move |event: web_sys::PointerEvent| {
                // A finger scrolls the strip.
                held.set((movable.get_untracked() && event.pointer_type() != "touch").then_some(index));
            };
            let key = move |event: web_sys::KeyboardEvent| {
                let last = count.get_untracked().saturating_sub(1);
                let (step, to) = match event.key().as_str() {
                    "ArrowLeft" => (-1, index.saturating_sub(1)),
                    "ArrowRight" => (1, (index + 1).min(last)),
                    "ArrowUp" => (0, across(strip, index, -1)),
                    "ArrowDown" => (0, across(strip, index, 1)),
                    "Home" => (0, 0),
                    "End" => (0, last),
                    _ => return,
                };
                if !event.alt_key() {
                    event.prevent_default();
                    return focus(strip, to);
                }
                if step == 0 || !movable.get_untracked() {
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
                    tabindex=move || if stop.get() == index { "0" } else { "-1" }
                    on:focus=move |_| focused.set(Some(index)) on:blur=move |_| focused.set(None)
                    on:pointerenter=enter on:pointerleave=leave
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
    let arcs = move |above: bool| {
        move || tokens.with(|tokens| (!tokens.wraps).then(|| arcs_of(&tokens.arcs, tokens.tokens.len(), above)))
    };
    view! {
        <div class="strip-wrap" class:is-movable=movable tabindex=move || edits.with(Option::is_none).then_some("0")
            role=move || if edits.with(Option::is_some) { "toolbar" } else { "group" } aria-label=title node_ref=strip
            on:pointerup=drop on:pointercancel=move |_| held.set(None)>
            <div class=class>{arcs(true)}{row}{arcs(false)}</div>
            {move || wraps.get().then(|| view! { <Threads tokens strip lit/> })}
        </div>
    }
}

/// The tokens as a picture, which cannot be touched.
pub fn still(tokens: &Tokens) -> impl IntoView + use<> {
    let each = tokens.tokens.iter().map(|token| view! { <span class=token_class(token)>{token_text(token)}</span> });
    view! { <div class="tokens is-text" aria-hidden="true">{each.collect_view()}</div> }
}

/// The tokens that are chosen once this one was pressed: a press on a chosen one lets it go.
fn after_press(Tokens { tokens, many, .. }: &Tokens, pressed: usize) -> String {
    let chosen = |index: usize| (tokens[index].chosen && (*many || index == pressed)) != (index == pressed);
    let chosen = (0..tokens.len()).filter(|&index| chosen(index)).map(|index| index.to_string());
    chosen.collect::<Vec<_>>().join(",")
}

/// The element of a token, where tokens can be pressed.
fn token_at(strip: NodeRef<html::Div>, index: usize) -> Option<web_sys::HtmlElement> {
    let found = strip.get_untracked()?.query_selector(&format!("[data-token='{index}']")).ok().flatten()?;
    found.dyn_into().ok()
}

fn focus(strip: NodeRef<html::Div>, index: usize) {
    if let Some(button) = token_at(strip, index) {
        let _focused = button.focus();
    }
}

/// The token above (-1) or below (1) one, where a text wraps: the nearest of the next line. Itself where there is none.
fn across(strip: NodeRef<html::Div>, index: usize, side: isize) -> usize {
    let place = |index| token_at(strip, index).map(|token| (token.offset_left(), token.offset_top()));
    let Some((left, top)) = place(index) else { return index };
    let mut line = None;
    let mut nearest = (index, i32::MAX);
    let mut at = index;
    while let Some(next) = at.checked_add_signed(side) {
        let Some((x, y)) = place(next) else { break };
        at = next;
        if y == top {
            continue;
        }
        if *line.get_or_insert(y) != y {
            break;
        }
        let far = (x - left).abs();
        if far < nearest.1 {
            nearest = (next, far);
        }
    }
    nearest.0
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

/// The arcs of a text, drawn over its lines from token to token; those of the token that is pointed at or has the focus stand
/// out.
#[component]
fn Threads(tokens: Memo<Tokens>, strip: NodeRef<html::Div>, lit: Memo<Option<usize>>) -> impl IntoView {
    let middles = RwSignal::new(Vec::<[f64; 2]>::new());
    let measure = move || {
        let count = tokens.try_with_untracked(|tokens| tokens.tokens.len()).unwrap_or_default();
        let middle = |index| {
            let token = token_at(strip, index)?;
            let along = |start: i32, size: i32| f64::from(start) + f64::from(size) / 2.0;
            Some([along(token.offset_left(), token.offset_width()), along(token.offset_top(), token.offset_height())])
        };
        let now: Vec<_> = (0..count).map_while(middle).collect();
        if middles.try_with_untracked(|before| *before != now).unwrap_or_default() {
            middles.set(now);
        }
    };
    // Notes change with each frame, and with them the lines.
    Effect::new(move |_| {
        tokens.track();
        request_animation_frame(measure);
    });
    Effect::new(move |_| {
        if let Some(strip) = strip.get() {
            resized(&strip, measure);
        }
    });
    let paths = move || {
        let middles = middles.get();
        let drawn = |arc: &Arc| {
            let ([x, y], [to_x, to_y]) = (*middles.get(arc.from)?, *middles.get(arc.to)?);
            let is_lit = lit.get().is_some_and(|lit| lit == arc.from || lit == arc.to);
            let share = f64::from(arc.share).clamp(0.0, 1.0);
            let bend = (y.min(to_y) - 12.0 - 0.1 * (to_x - x).abs()).max(2.0);
            let path = format!("M{x:.1} {y:.1} C{x:.1} {bend:.1} {to_x:.1} {bend:.1} {to_x:.1} {to_y:.1}");
            let (class, width) = if is_lit { ("arc-2", 2.5) } else { ("arc-1", 0.5 + 1.5 * share) };
            Some(
                view! { <path class=class d=path stroke-width=format!("{width:.1}") stroke-opacity=if is_lit { "1" } else { "0.45" }/> },
            )
        };
        tokens.with(|tokens| tokens.arcs.iter().filter_map(drawn).collect_view())
    };
    view! { <svg class="threads" aria-hidden="true">{paths}</svg> }
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
