//! A tree, drawn from left to right: a column for each depth, a row for each leaf.
//!
//! It may have thousands of nodes, so that only those in sight are elements. A node whose leaves fill more than the box stays
//! in sight beside them.

use std::collections::BTreeMap;

use heads_and_tails::chart::Ink;
use heads_and_tails::lab::{Body, Node, Panel, Placed, Tree};
use leptos::attr::custom::custom_attribute;
use leptos::html;
use leptos::prelude::*;

use super::swatch_class;
use crate::watch::resized;

/// Height of a row, in pixels.
const ROW: f64 = 26.0;
/// Rows that are drawn above and below those in sight, so that a scroll does not run into blank.
const SPARE: usize = 8;

/// The tree with the place of each node.
#[derive(Clone, Default, PartialEq)]
struct Drawn {
    tree: Tree,
    places: Vec<Placed>,
    depths: usize,
    rows: usize,
}

impl Drawn {
    fn new(panel: &Panel) -> Self {
        let Body::Tree(tree) = &panel.body else { return Self::default() };
        let places = tree.places();
        let depths = places.iter().map(|place| place.depth + 1).max().unwrap_or(1).max(tree.columns.len());
        let rows = places.iter().map(|place| place.rows.end).max().unwrap_or(0);
        Self { tree: tree.clone(), places, depths, rows }
    }

    fn chosen(&self) -> Option<usize> {
        self.tree.nodes.iter().position(|node| node.chosen)
    }

    /// The node to which a key leads.
    fn next(&self, from: usize, key: &str) -> Option<usize> {
        let here = self.places.get(from)?;
        let beside = |row: Option<usize>| {
            let row = row?;
            self.places.iter().position(|place| place.depth == here.depth && place.rows.contains(&row))
        };
        match key {
            "ArrowUp" => beside(here.rows.start.checked_sub(1)),
            "ArrowDown" => beside(Some(here.rows.end)),
            "ArrowLeft" => self.tree.nodes[from].parent,
            "ArrowRight" => self.tree.nodes.iter().position(|node| node.parent == Some(from)),
            "Home" => Some(0),
            "End" => self.places.iter().position(|place| place.depth == here.depth && place.rows.end == self.rows),
            _ => None,
        }
    }
}

/// The tree. Where the panel edits a parameter, a press on a node sets it to the node's value. The tree is one stop of the Tab
/// key; arrow keys lead from node to node, and Enter presses.
#[component]
pub fn TreeView(panel: Signal<Panel>, on_edit: Callback<(String, String)>) -> impl IntoView {
    let drawn = Memo::new(move |_| panel.with(Drawn::new));
    let title = move || panel.with(|panel| panel.title.clone());
    let edits = Memo::new(move |_| panel.with(|panel| panel.edits.clone()));
    let id = panel.with_untracked(|panel| panel.id.clone());
    let area = NodeRef::<html::Div>::new();
    let (top, height) = (RwSignal::new(0_usize), RwSignal::new(20_usize));
    let lit = RwSignal::new(None::<usize>);
    let measure = move || {
        let Some(area) = area.get_untracked() else { return };
        let rows = |pixels: i32| (f64::from(pixels) / ROW) as usize;
        let (now, high) = (rows(area.scroll_top()), rows(area.client_height()) + 1);
        if top.get_untracked() != now {
            top.set(now);
        }
        if height.get_untracked() != high {
            height.set(high);
        }
    };
    Effect::new(move |_| {
        if let Some(area) = area.get() {
            measure();
            resized(&area, measure);
        }
    });
    let show = move |node: usize| {
        let row = drawn.with_untracked(|drawn| drawn.places.get(node).map(|place| place.rows.start));
        let (Some(area), Some(row)) = (area.get_untracked(), row) else { return };
        let (from, to) = (f64::from(area.scroll_top()), f64::from(area.client_height()));
        let at = row as f64 * ROW;
        if at < from || at + ROW > from + to {
            area.set_scroll_top((at - to / 2.0).max(0.0) as i32);
        }
        measure();
    };
    let press = move |node: usize| {
        let Some(key) = edits.get_untracked() else { return };
        let value = drawn.with_untracked(|drawn| {
            let node = drawn.tree.nodes.get(node)?;
            // A press on the chosen one lets it go.
            Some(if node.chosen { String::new() } else { node.value.clone() })
        });
        if let Some(value) = value {
            on_edit.run((key, value));
        }
    };
    let key = move |event: web_sys::KeyboardEvent| {
        let from = lit.get_untracked().or_else(|| drawn.with_untracked(Drawn::chosen)).unwrap_or(0);
        let key = event.key();
        if key == "Enter" || key == " " {
            event.prevent_default();
            return press(from);
        }
        if let Some(to) = drawn.with_untracked(|drawn| drawn.next(from, &key)) {
            event.prevent_default();
            lit.set(Some(to));
            show(to);
        }
    };
    let in_sight = Memo::new(move |_| {
        let first = top.get().saturating_sub(SPARE);
        first..top.get() + height.get() + SPARE
    });
    let node_id = {
        let id = id.clone();
        move |node: usize| format!("{id}-node-{node}")
    };
    let active = {
        let node_id = node_id.clone();
        move || lit.get().filter(|node| drawn.with(|drawn| *node < drawn.places.len())).map(&node_id)
    };
    let nodes = Memo::new(move |_| {
        let sight = in_sight.get();
        drawn.with(|drawn| {
            let shown = drawn.places.iter().zip(&drawn.tree.nodes).enumerate();
            let shown = shown.filter(|(_, (place, _))| place.rows.start < sight.end && place.rows.end > sight.start);
            shown.map(|(index, (place, node))| (index, place.clone(), node.clone())).collect::<Vec<_>>()
        })
    });
    let width = Memo::new(move |_| drawn.with(|drawn| 100.0 / drawn.depths as f64));
    // An element stays as long as it says the same, so that a scroll makes new ones at its edge alone.
    let said = |(index, place, node): &(usize, Placed, Node)| format!("{index} {place:?} {node:?}");
    let element = {
        let node_id = node_id.clone();
        move |(index, place, node): (usize, Placed, Node)| {
            let depth = place.depth;
            let left = move || format!("{:.3}%", depth as f64 * width.get());
            let class = move || if lit.get() == Some(index) { "node is-lit" } else { "node" };
            let name = format!("{}, {}", node.text, node.note);
            let level = custom_attribute("aria-level", (depth + 1).to_string());
            let row = Memo::new(move |_| seen_row(&place, top.get()));
            view! {
                <div class=class role="treeitem" id=node_id(index) title=name aria-selected=node.chosen.to_string()
                    style:left=left style:top=move || format!("{:.0}px", row.get() as f64 * ROW)
                    style:width=move || format!("{:.3}%", width.get()) {..level} on:click=move |_| press(index)>
                    <i class=swatch_class(node.ink) aria-hidden="true"></i>
                    <span class:is-out=node.ink == Ink::Muted>{node.text}</span>
                    <small>{node.note}</small>
                </div>
            }
        }
    };
    let edges = move || {
        let sight = in_sight.get();
        let first_row = top.get();
        drawn.with(|drawn| {
            let wide = 1000.0;
            // A picture of what is in sight: one of all rows would be as tall as a house.
            let (from, high) = (sight.start as f64 * ROW, sight.len() as f64 * ROW);
            let width = wide / drawn.depths as f64;
            let mut paths: BTreeMap<&'static str, String> = BTreeMap::new();
            for (index, place) in drawn.places.iter().enumerate() {
                let node = &drawn.tree.nodes[index];
                let Some(parent) = node.parent.filter(|parent| *parent < index) else { continue };
                if place.rows.start >= sight.end || place.rows.end <= sight.start {
                    continue;
                }
                let middle = |place: &Placed| (seen_row(place, first_row) as f64 + 0.5) * ROW;
                let to_x = place.depth as f64 * width;
                let from_x = to_x - width * 0.12;
                let (from_y, to_y) = (middle(&drawn.places[parent]), middle(place));
                let bend = f64::midpoint(from_x, to_x);
                paths.entry(edge_class(node.ink)).or_default().push_str(&format!(
                    "M{from_x:.0} {from_y:.0}C{bend:.0} {from_y:.0} {bend:.0} {to_y:.0} {to_x:.0} {to_y:.0}"
                ));
            }
            let paths = paths.into_iter().map(|(class, path)| {
                view! { <path class=class d=path vector-effect="non-scaling-stroke"/> }
            });
            view! {
                <svg class="edges" viewBox=format!("0 {from} {wide} {high}") preserveAspectRatio="none" aria-hidden="true"
                    style:top=format!("{from:.0}px") height=format!("{high:.0}")>{paths.collect_view()}</svg>
            }
        })
    };
    let heads = move || {
        drawn.with(|drawn| {
            let heads = drawn.tree.columns.iter().map(|head| view! { <span>{head.clone()}</span> });
            (!drawn.tree.columns.is_empty())
                .then(|| view! { <div class="tree-heads" aria-hidden="true">{heads.collect_view()}</div> })
        })
    };
    view! {
        <div class="tree-view" tabindex="0" role="tree" aria-label=title node_ref=area
            data-nodes=move || drawn.with(|drawn| drawn.places.len().to_string())
            aria-activedescendant=active on:scroll=move |_| measure() on:keydown=key
            on:blur=move |_| lit.set(None)>
            {heads}
            <div class="tree-rows" role="presentation" style:height=move || drawn.with(|drawn| format!("{:.0}px", drawn.rows as f64 * ROW))>
                {edges}<For each=move || nodes.get() key=said children=element/>
            </div>
        </div>
    }
}

/// The tree as a picture without words, which cannot be touched.
pub fn still(tree: &Tree) -> impl IntoView + use<> {
    let (wide, high) = (360.0, 170.0);
    let places = tree.places();
    let depths = places.iter().map(|place| place.depth + 1).max().unwrap_or(1) as f64;
    let rows = places.iter().map(|place| place.rows.end).max().unwrap_or(1) as f64;
    let at = |place: &Placed| {
        let middle = f64::midpoint(place.rows.start as f64, place.rows.end as f64) / rows;
        [(place.depth as f64 + 0.5) / depths * wide, middle * high]
    };
    let edges = tree.nodes.iter().zip(&places).filter_map(|(node, place)| {
        let parent = places.get(node.parent?)?;
        let ([from_x, from_y], [x, y]) = (at(parent), at(place));
        let bend = f64::midpoint(from_x, x);
        let path = format!("M{from_x:.1} {from_y:.1}C{bend:.1} {from_y:.1} {bend:.1} {y:.1} {x:.1} {y:.1}");
        Some(view! { <path class=edge_class(node.ink) d=path/> })
    });
    view! { <svg class="edges" viewBox=format!("0 0 {wide} {high}") aria-hidden="true">{edges.collect_view()}</svg> }
}

/// The row at which a node is seen: its first, or the first in sight, while its leaves are there.
fn seen_row(place: &Placed, first_row: usize) -> usize {
    place.rows.start.max(first_row.min(place.rows.end - 1))
}

fn edge_class(ink: Ink) -> &'static str {
    match ink {
        Ink::Method => "edge m",
        Ink::Baseline => "edge b",
        Ink::Baseline2 => "edge b2",
        Ink::Truth => "edge t",
        Ink::Guess | Ink::Data => "edge",
        Ink::Muted => "edge out",
    }
}
