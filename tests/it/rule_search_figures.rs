//! What the figures of a search say: numbers that there are, reasons that are so, and nobody's word where nobody was asked.

use heads_and_tails::chart::Mark;
use heads_and_tails::drive::find;
use heads_and_tails::lab::{Body, Cell, Frame, Left, Panel, Row, Status, Table, Tree, Values};
use heads_and_tails::labs::{RUNNERS, entry};
use pollster::block_on;

use crate::site::host;

/// The last frame of a whole run.
fn run(slug: &str, query: &str) -> Frame {
    let runner = find(RUNNERS, slug).expect("it is registered");
    let (values, problems) = Values::from_query(runner.specs, query);
    assert_eq!(problems, [], "{query}");
    let host = host();
    let mut lab = block_on((runner.start)(&values, &host)).expect("it starts");
    while block_on(lab.step(&host)).expect("it steps") == Status::Running {}
    block_on(lab.settle()).expect("it settles");
    lab.frame()
}

fn panel<'a>(frame: &'a Frame, id: &str) -> &'a Panel {
    frame.panels.iter().find(|panel| panel.id == id).expect("the panel is there")
}

fn said(frame: &Frame, id: &str) -> String {
    panel(frame, id).spoken()
}

fn table<'a>(frame: &'a Frame, id: &str) -> &'a Table {
    let Body::Table(table) = &panel(frame, id).body else { panic!("{id} is no table") };
    table
}

fn tree(frame: &Frame) -> &Tree {
    let Body::Tree(tree) = &panel(frame, "tree").body else { panic!("the first panel is a tree") };
    tree
}

/// The texts of a column, by its name in the head.
fn column<'a>(table: &'a Table, name: &str) -> Vec<&'a str> {
    let at = table.head.iter().position(|head| head == name).expect("the column is there");
    let text = |row: &'a Vec<Cell>| match &row[at] {
        Cell::Text(text) => text.as_str(),
        other => panic!("{name}: {other:?} is no text"),
    };
    table.rows.iter().map(text).collect()
}

/// Nothing passes such a critic, so that both lists stay empty.
const NOTHING: &str = "critic=learned&threshold=1&floor=1&beam=4&calls=1&values=2";

#[test]
fn a_list_without_statements_is_said_to_be_empty() {
    for query in ["", "critic=none", NOTHING] {
        for panel in run("link", query).panels {
            assert!(!panel.spoken().contains("NaN"), "{query}: {}: {}", panel.id, panel.spoken());
        }
    }
    let none = run("link", "critic=none");
    assert!(said(&none, "likelihood").contains("alone it is unknown, for the tail has no true statement."));
    assert!(said(&none, "believed").contains("Here the tail has no true statement to ask about."));
    let nothing = run("link", NOTHING);
    assert!(said(&nothing, "likelihood").contains("is unknown, for neither list has a statement."));
    assert!(said(&nothing, "found").starts_with("True statements in the head: none, for it is empty;"));
}

#[test]
fn a_value_is_struck_out_for_what_is_below() {
    let frame = run("link", "rule=film&critic=learned");
    let struck = tree(&frame).nodes.iter().map(|node| &node.note).filter(|note| note.starts_with("struck out"));
    let mut own = 0;
    for note in struck {
        let (left, right) = note.split_once(" < ").unwrap_or_else(|| panic!("{note}"));
        let number = |text: &str| text.split(' ').next_back().expect("a word").parse::<f64>().expect("a number");
        let threshold = number(right.split(" · ").next().expect("a part"));
        assert!(number(left) < threshold, "{note}");
        own += usize::from(note.contains("own P(yes)"));
    }
    assert!(own > 0, "a mean hides some mistakes");
}

#[test]
fn without_a_reranker_there_is_neither_head_nor_tail() {
    let frame = run("link", "critic=world&rerank=false");
    for node in &tree(&frame).nodes {
        assert!(!["head", "tail", "reranker"].iter().any(|word| node.note.contains(word)), "{}", node.note);
    }
    let lists = column(table(&frame, "statements"), "list");
    assert!(lists.iter().all(|list| ["first list", "second list"].contains(list)), "{lists:?}");
    assert!(said(&frame, "tree").contains("each list keeps the first values that pass"));
    assert!(said(&frame, "critic").contains("left out by the beam"));
    assert!(frame.readouts().contains_key("tail_correct"), "claims ask for it by this name");
}

#[test]
fn without_a_critic_nobody_says_anything() {
    let frame = run("link", "critic=none");
    assert!(said(&frame, "critic").contains("nobody was asked, and every value passed"));
    assert!(column(table(&frame, "value"), "what").iter().all(|what| !what.contains("P(yes)")));
    assert!(tree(&frame).nodes.iter().all(|node| !node.note.contains("critic")));
    assert!(tree(&frame).nodes.iter().any(|node| node.note.ends_with(" · wrong")));
}

/// The facts of a rule that is new, and not its own sentences, which no model knows.
#[test]
fn what_is_scored_is_what_is_shown() {
    let frame = run("link", "rule=film&calls=1");
    let rule = table(&frame, "rule");
    assert_eq!(column(rule, "scored")[..2], ["a name of its type", "[A] ended in [Z]"]);
    for cell in rule.rows.iter().flatten() {
        assert!(!matches!(cell, Cell::Text(text) if text.contains("anachronism in")), "{cell:?}");
    }
    assert!(column(table(&run("link", "calls=1"), "rule"), "scored")[2].ends_with("[P] cannot eat [B]"));
}

#[test]
fn a_critic_is_said_to_err_where_it_knows_least_only_if_it_does() {
    let sentence = "The critic of this search knows the rare ones least";
    assert!(said(&run("link", "critic=head"), "known").contains(sentence));
    for query in ["critic=world", "critic=none", ""] {
        let frame = run("link", query);
        let all_true = frame.readouts().get("tail_correct") == Some(&1.0);
        assert!(query == "critic=none" || all_true, "{query}: another case is wanted here");
        assert!(!said(&frame, "known").contains(sentence), "{query}");
    }
}

#[test]
fn rules_with_the_same_facts_are_one_search() {
    let runner = find(RUNNERS, "link").unwrap();
    let batch = entry("link").unwrap().card.batches[0];
    let rows = (batch.rows)(&Values::defaults(runner.specs));
    let of = |rule: &str| rows.iter().find(|(_, query)| query.starts_with(&format!("rule={rule}&"))).expect("a rule");
    let chosen = ["serve", "hate", "eat"].map(of);
    assert_eq!(chosen[2].0, "what an allergic person cannot eat");
    let settings: Vec<Values> =
        chosen.iter().map(|(_, query)| Values::from_query(runner.specs, &format!("{query}&calls=1")).0).collect();
    let mut done = vec![];
    let mut row = |index: usize, Left { readouts, found }| {
        done.push(Row { label: chosen[index].0.clone(), query: settings[index].to_query(), readouts, found });
    };
    block_on((runner.batch)(&settings, &host(), &mut row)).unwrap();
    assert_eq!(done[0].readouts, done[1].readouts);
    let drawn = |rows: &[Row]| {
        let panel = (batch.draw)(rows).swap_remove(0);
        let Body::Table(table) = &panel.body else { panic!("all rules are a table") };
        let names: std::collections::BTreeSet<&String> = table.head.iter().collect();
        assert_eq!(names.len(), table.head.len(), "{:?}", table.head);
        panel.spoken()
    };
    let sentence = "rules with the same facts are one search";
    assert!(drawn(&done).contains(sentence));
    assert!(!drawn(&done[1..]).contains(sentence));
    assert!(drawn(&done[2..]).starts_with("Searched: 1 rule. "));
}

#[test]
fn a_relation_that_is_not_named_or_not_there_is_said_to_be_so() {
    for id in ["known", "facts"] {
        let of = |shown: &str| said(&run("link-world", &format!("trained=evaluator&training=1&shown={shown}")), id);
        assert!(of("").starts_with("No relation is named, so “damaged_by” is shown. "), "{}", of(""));
        let unknown = of("eats");
        let wanted = "There is no relation “eats”, so “damaged_by” is shown. There are damaged_by, ended_in, ";
        assert!(unknown.starts_with(wanted), "{unknown}");
        assert!(of("ended_in").contains("facts of “ended_in”") || of("ended_in").starts_with("Facts of “ended_in”"));
    }
}

/// What the page draws in one color would be taken for one thing.
#[test]
fn models_in_training_differ_in_ink_and_keep_it() {
    let frame = run("link-world", "training=1");
    let Body::Chart(chart) = &panel(&frame, "loss").body else { panic!("losses are a chart") };
    let Body::Readouts(readouts) = &panel(&frame, "models").body else { panic!("models are read-outs") };
    let lines: Vec<_> = chart
        .marks
        .iter()
        .map(|mark| match mark {
            Mark::Line { name, ink, .. } => (name.as_str(), *ink),
            other => panic!("{other:?} is no line"),
        })
        .collect();
    assert_eq!(lines.len(), 5);
    for (at, (name, ink)) in lines.iter().enumerate() {
        assert!(lines[..at].iter().all(|(_, other)| other != ink), "{name}");
        // A line without an ink of its own is drawn as the truth is.
        assert_ne!(*ink, heads_and_tails::chart::Ink::Data, "{name}");
        assert!(readouts.iter().filter(|readout| readout.of == *name).all(|readout| readout.ink == *ink), "{name}");
    }
}
