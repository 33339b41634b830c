//! What must hold for every lab, whoever wrote it.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use heads_and_tails::drive::{Runner, Running, find};
use heads_and_tails::lab::params::{Kind, RESERVED, Value, Values};
use heads_and_tails::lab::{Body, Frame, ParamSpec, Scope, Status};
use heads_and_tails::labs::{CATALOGUE, RUNNERS, entry};
use pollster::block_on;

use crate::apart::{Numbers, taken_apart};
use crate::headless;
use crate::site::host;

const STEPS: usize = 20;

fn start(runner: &Runner, query: &str) -> Box<dyn Running> {
    let (values, problems) = Values::from_query(runner.specs, query);
    assert!(problems.is_empty(), "{}: {query}: {problems:?}", runner.slug);
    block_on((runner.start)(&values, &host())).unwrap_or_else(|error| panic!("{}: {query}: {error}", runner.slug))
}

fn run(lab: &mut dyn Running, steps: usize) -> Frame {
    let host = host();
    for _ in 0..steps {
        if block_on(lab.step(&host)).expect("a short run does not fail") != Status::Running {
            break;
        }
    }
    block_on(lab.settle()).expect("a short run does not fail");
    unmeasured(lab.frame())
}

/// Every lab with each of its presets, and for how many steps. A setting for a GPU runs with its own net on a batch
/// and for a time that a CPU can bear.
fn settings() -> impl Iterator<Item = (&'static Runner, String, usize)> {
    CATALOGUE.iter().flat_map(|entry| {
        let runner = find(RUNNERS, entry.card.slug).expect("one list makes both");
        let batch = if has(entry.specs, "batch") { "&batch=32" } else { "" };
        entry.card.presets.iter().map(move |preset| match preset.label.contains("GPU") {
            true => (runner, format!("{}{batch}", preset.query), 2),
            false => (runner, preset.query.to_owned(), STEPS),
        })
    })
}

fn has(specs: &[ParamSpec], key: &str) -> bool {
    specs.iter().any(|spec| spec.key == key)
}

/// The frame without what a clock measured.
fn unmeasured(mut frame: Frame) -> Frame {
    for panel in &mut frame.panels {
        if let Body::Readouts(list) = &mut panel.body {
            for readout in list.iter_mut().filter(|readout| readout.measured) {
                (readout.value, readout.trend) = (0.0, Vec::new());
            }
        }
    }
    frame
}

fn is_case(text: &str, separator: char) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == separator)
}

#[test]
fn names_are_in_order() {
    let mut slugs = HashSet::new();
    for entry in CATALOGUE {
        let card = &entry.card;
        assert!(slugs.insert(card.slug) && is_case(card.slug, '-'), "slug {}", card.slug);
        assert!(!card.papers.is_empty() && !card.title.is_empty() && !card.hook.is_empty(), "{}", card.slug);
        let prose = format!("src/labs/{}/text/{}.md", card.page.slug.replace('-', "_"), card.slug);
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(&prose).is_file(), "{}: no prose at {prose}", card.slug);
        let mut keys = HashSet::new();
        for spec in entry.specs {
            assert!(keys.insert(spec.key) && is_case(spec.key, '_'), "{}: key {}", card.slug, spec.key);
            assert!(!RESERVED.contains(&spec.key), "{}: {} is the page's", card.slug, spec.key);
            assert!(!spec.help.is_empty() && !spec.name.is_empty(), "{}: {} explains nothing", card.slug, spec.key);
        }
        assert_eq!(RUNNERS.iter().filter(|runner| runner.slug == card.slug).count(), 1, "{}", card.slug);
    }
}

#[test]
fn every_training_lab_has_a_setting_for_a_gpu() {
    for entry in CATALOGUE.iter().filter(|entry| has(entry.specs, "learning_rate")) {
        assert!(entry.card.presets.iter().any(|preset| preset.label.contains("GPU")), "{}", entry.card.slug);
    }
}

#[test]
fn presets_read_and_round_trip() {
    for entry in CATALOGUE {
        for preset in entry.card.presets {
            let (values, problems) = Values::from_query(entry.specs, preset.query);
            assert!(problems.is_empty(), "{}: {}: {problems:?}", entry.card.slug, preset.label);
            let (again, problems) = Values::from_query(entry.specs, &values.to_query());
            assert!(problems.is_empty() && again == values, "{}: {}", entry.card.slug, preset.label);
        }
        for batch in entry.card.batches {
            for (label, query) in (batch.rows)(&Values::defaults(entry.specs)) {
                let (_, problems) = Values::from_query(entry.specs, &query);
                assert!(problems.is_empty(), "{}: {}: {label}: {problems:?}", entry.card.slug, batch.id);
            }
        }
    }
}

/// A batch sweeps what it sweeps; all else stays as the reader has set it.
#[test]
fn batches_keep_the_readers_settings() {
    for entry in CATALOGUE {
        let mut values = Values::defaults(entry.specs);
        assert_eq!(values.set("seed", "7"), None, "{}", entry.card.slug);
        for batch in entry.card.batches {
            let seed = |query: &str| Values::from_query(entry.specs, query).0.get("seed").cloned();
            let mut seeds: Vec<Option<Value>> = (batch.rows)(&values).iter().map(|(_, query)| seed(query)).collect();
            seeds.dedup();
            assert!(seeds.len() > 1 || seeds == [Some(Value::Int(7))], "{}: {}", entry.card.slug, batch.id);
        }
    }
}

/// What a link may leave out by name is known before a batch has run.
#[test]
fn batches_name_their_figures() {
    for entry in CATALOGUE.iter().filter(|entry| !entry.card.batches.is_empty()) {
        let names = entry.batch_figures();
        assert!(!names.is_empty() && names.iter().all(|name| is_case(name, '-')), "{}: {names:?}", entry.card.slug);
    }
}

#[test]
fn every_setting_runs_and_explains_itself() {
    for (runner, query, steps) in settings() {
        let frame = run(&mut *start(runner, &query), steps);
        // Fewer where a lab has nothing left to do.
        assert!((1..=steps as u64).contains(&frame.step), "{}: {query}", runner.slug);
        let mut ids = HashSet::new();
        for panel in &frame.panels {
            let name = format!("{}: {query}: {}", runner.slug, panel.id);
            assert!(ids.insert(&panel.id) && is_case(&panel.id, '-'), "{name}");
            assert!((1..=24).contains(&panel.title.chars().count()), "{name}: “{}” does not fit", panel.title);
            assert!(panel.spoken().len() > 20, "{name} says nothing");
            assert!(!panel.spoken().contains(['{', '}', '*']), "{name}: a mark is not closed");
            assert!([2, 3, 4, 6].contains(&panel.span), "{name}");
            if let Some(key) = &panel.edits {
                assert!(runner.specs.iter().any(|spec| spec.key == key), "{name} edits {key}, which is no parameter");
            }
        }
        assert!(frame.panels.iter().any(|panel| matches!(panel.body, Body::Readouts(_))), "{}", runner.slug);
        assert!(!frame.readouts().is_empty() && frame.readouts().values().all(|value| value.is_finite()));
    }
}

#[test]
fn one_seed_gives_one_run_and_another_gives_another() {
    for runner in RUNNERS {
        let frames = ["seed=3", "seed=3", "seed=4"].map(|query| run(&mut *start(runner, query), STEPS));
        assert!(frames[0] == frames[1], "{}", runner.slug);
        let chance = entry(runner.slug).is_some_and(|entry| entry.card.chance);
        assert_eq!(frames[0] != frames[2], chance, "{}", runner.slug);
    }
}

/// Two runs that live at once, as a run and its comparison do, and as the looks at the past.
#[test]
fn runs_at_once_do_not_touch_each_other() {
    for runner in RUNNERS {
        let alone = run(&mut *start(runner, "seed=3"), STEPS);
        let (mut one, mut other) = (start(runner, "seed=3"), start(runner, "seed=4"));
        for _ in 0..STEPS - 1 {
            run(&mut *other, 1);
            run(&mut *one, 1);
        }
        assert!(run(&mut *one, 1) == alone, "{}", runner.slug);
    }
}

#[test]
fn a_restored_run_goes_on_as_the_saved_one() {
    for runner in RUNNERS {
        let mut saved = start(runner, "");
        let before = run(&mut *saved, STEPS - 3);
        let state = block_on(saved.save()).expect("the CPU is not lost");
        // As it travels: through bytes.
        let state =
            postcard::from_bytes(&postcard::to_allocvec(&state).expect("plain data")).expect("it was just written");
        let mut restored = start(runner, "");
        block_on(restored.restore(&state, &host())).expect("the same lab saved it");
        assert!(unmeasured(restored.frame()) == before, "{}: not the same frame", runner.slug);
        assert!(run(&mut *restored, 7) == run(&mut *saved, 7), "{}: not the same run", runner.slug);
        // One lab shows every step that is looked at, in any order.
        block_on(restored.restore(&state, &host())).expect("the same lab saved it");
        assert!(unmeasured(restored.frame()) == before, "{}: not the same frame after others", runner.slug);
        assert!(
            unmeasured(run(&mut *restored, 7)) == unmeasured(saved.frame()),
            "{}: not the same run again",
            runner.slug
        );
    }
}

/// Another value of a parameter, as a link has it.
fn another(spec: &ParamSpec) -> String {
    let text = match &spec.kind {
        Kind::Int { min, max } => if spec.default == Value::Int(*min) { max } else { min }.to_string(),
        Kind::Real { min, max } => if spec.default == Value::Real(*min) { max } else { min }.to_string(),
        Kind::Toggle => (spec.default != Value::Toggle(true)).to_string(),
        Kind::Choice { options } => {
            let other = options.iter().find(|(value, _)| spec.default != Value::Choice(value));
            other.map_or_else(String::new, |(value, _)| (*value).to_owned())
        }
        Kind::Numbers { min, max, .. } => format!("{}", (min + max) / 2.0),
        Kind::Points { min, max, .. } => format!("{},{}", min + 0.4 * (max - min), min + 0.6 * (max - min)),
        Kind::Text { .. } | Kind::Secret { .. } => "other words".to_owned(),
        Kind::Pick { .. } | Kind::Picks { .. } => "0".to_owned(),
        Kind::File { .. } => "other.csv".to_owned(),
    };
    assert!(spec.read(&text).0 != spec.default && spec.read(&text).1.is_none(), "{}: {text}", spec.key);
    text
}

#[test]
fn another_look_does_not_touch_the_run() {
    for runner in RUNNERS {
        let defaults = Values::defaults(runner.specs);
        let (mut plain, mut looked) = (start(runner, ""), start(runner, ""));
        run(&mut *looked, STEPS / 2);
        for spec in runner.specs.iter().filter(|spec| spec.scope == Scope::View) {
            let mut values = defaults.clone();
            assert_eq!(values.set(spec.key, &another(spec)), None);
            block_on(looked.change(&values, &host())).expect("a look does not fail");
            let seen = looked.frame();
            assert!(seen.readouts().values().all(|value| value.is_finite()), "{}: {}", runner.slug, spec.key);
        }
        run(&mut *plain, STEPS);
        run(&mut *looked, STEPS - STEPS / 2);
        // Both are asked for the same look, since what a frame shows may be older than its step.
        let seen = [plain, looked].map(|mut lab| {
            block_on(lab.change(&defaults, &host())).expect("a look does not fail");
            unmeasured(lab.frame())
        });
        assert!(seen[0] == seen[1], "{}", runner.slug);
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/frames")
}

/// What is seen, panel by panel; the numbers are held by another test.
#[test]
fn frames_keep_their_structure() {
    for runner in RUNNERS {
        let frame = run(&mut *start(runner, ""), STEPS);
        let (structure, _) = taken_apart(&serde_json::to_value(frame).expect("plain data"));
        insta::assert_snapshot!(format!("frame-{}", runner.slug), structure);
    }
}

/// The numbers of a short run against those on file, near enough for another machine's last bits.
#[test]
fn numbers_are_as_on_file() {
    for runner in RUNNERS {
        let frame = run(&mut *start(runner, ""), STEPS);
        let (_, got) = taken_apart(&serde_json::to_value(frame).expect("plain data"));
        let file = folder().join(format!("{}.json", runner.slug));
        if std::env::var_os("HT_UPDATE").is_some() {
            std::fs::create_dir_all(folder()).expect("the folder can be made");
            std::fs::write(&file, got.to_json()).expect("the file can be written");
        }
        let text =
            std::fs::read_to_string(&file).unwrap_or_else(|_| panic!("{}: run once with HT_UPDATE=1", file.display()));
        got.near(&Numbers::from_json(&text), 1e-3).unwrap_or_else(|apart| panic!("{}: {apart}", runner.slug));
    }
}

/// What the home page shows of a lab before it has run is what the lab shows today.
#[test]
fn posters_are_fresh() {
    for runner in RUNNERS {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("public/posters/{}.json", runner.slug));
        let stored = std::fs::read_to_string(&file).unwrap_or_default();
        let stored: serde_json::Value = serde_json::from_str(&stored).expect("cargo xtask poster records it");
        let today = headless::poster_of(runner.slug).expect("the default run makes a poster");
        let today = serde_json::from_str(&today).expect("it was just written");
        let ((was, numbers_then), (is, numbers_now)) = (taken_apart(&stored), taken_apart(&today));
        let stale =
            |what: String| panic!("{}: the poster is stale, cargo xtask poster records it anew: {what}", runner.slug);
        if was != is {
            stale(format!("it was\n{was}\nand is\n{is}"));
        }
        // Thousands of steps magnify the last bits, in which processors differ; a poster is looked at, not computed with.
        numbers_now.near(&numbers_then, 0.2).unwrap_or_else(stale);
    }
}
