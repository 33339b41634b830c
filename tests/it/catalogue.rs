//! What must hold for every lab, whoever wrote it.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use heads_and_tails::drive::{Runner, Running, find};
use heads_and_tails::lab::params::{RESERVED, Values};
use heads_and_tails::lab::{Body, Frame, Scope, Status};
use heads_and_tails::labs::{CATALOGUE, RUNNERS};
use pollster::block_on;

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
        if block_on(lab.step(&host)).unwrap() != Status::Running {
            break;
        }
    }
    lab.frame()
}

/// Every lab with each of its presets, but those that only a GPU should run.
fn settings() -> impl Iterator<Item = (&'static Runner, &'static str)> {
    CATALOGUE.iter().flat_map(|entry| {
        let runner = find(RUNNERS, entry.card.slug).unwrap();
        let presets = entry.card.presets.iter().filter(|preset| !preset.label.contains("GPU"));
        presets.map(move |preset| (runner, preset.query))
    })
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
        let prose = format!("src/labs/{}/text/{}.md", card.papers[0].slug.replace('-', "_"), card.slug);
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
    for entry in CATALOGUE.iter().filter(|entry| entry.specs.iter().any(|spec| spec.key == "batch")) {
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

#[test]
fn every_setting_runs_and_explains_itself() {
    for (runner, query) in settings() {
        let frame = run(&mut *start(runner, query), STEPS);
        assert_eq!(frame.step, STEPS as u64, "{}: {query}", runner.slug);
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
        assert!(frames[0] != frames[2], "{}", runner.slug);
    }
}

#[test]
fn a_restored_run_goes_on_as_the_saved_one() {
    for runner in RUNNERS {
        let mut saved = start(runner, "");
        let before = run(&mut *saved, STEPS - 3);
        let state = block_on(saved.save()).unwrap();
        // As it travels: through bytes.
        let state = postcard::from_bytes(&postcard::to_allocvec(&state).unwrap()).unwrap();
        let mut restored = start(runner, "");
        block_on(restored.restore(&state, &host())).unwrap();
        assert!(restored.frame() == before, "{}: not the same frame", runner.slug);
        assert!(run(&mut *restored, 7) == run(&mut *saved, 7), "{}: not the same run", runner.slug);
    }
}

#[test]
fn another_look_does_not_touch_the_run() {
    for runner in RUNNERS {
        let plain = run(&mut *start(runner, ""), STEPS).readouts();
        let mut looked = start(runner, "");
        run(&mut *looked, STEPS / 2);
        let (mut values, _) = Values::from_query(runner.specs, "");
        for spec in runner.specs.iter().filter(|spec| spec.scope == Scope::View) {
            let text = match spec.kind {
                heads_and_tails::lab::params::Kind::Toggle => "false".to_owned(),
                heads_and_tails::lab::params::Kind::Int { min, .. } => min.to_string(),
                heads_and_tails::lab::params::Kind::Points { .. } => "0.1,0.2".to_owned(),
                heads_and_tails::lab::params::Kind::Choice { options } => options[options.len() - 1].0.to_owned(),
                _ => continue,
            };
            assert_eq!(values.set(spec.key, &text), None);
            block_on(looked.change(&values, &host())).unwrap();
        }
        assert_eq!(plain, run(&mut *looked, STEPS - STEPS / 2).readouts(), "{}", runner.slug);
    }
}

/// The readouts of a short run against those on file, near enough for another machine's last bits.
#[test]
fn readouts_are_as_on_file() {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/frames");
    for runner in RUNNERS {
        let got = run(&mut *start(runner, ""), STEPS).readouts();
        let file = folder.join(format!("{}.json", runner.slug));
        if std::env::var_os("HT_UPDATE").is_some() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&file, serde_json::to_string_pretty(&got).unwrap() + "\n").unwrap();
        }
        let text =
            std::fs::read_to_string(&file).unwrap_or_else(|_| panic!("{}: run once with HT_UPDATE=1", file.display()));
        let want: BTreeMap<String, f64> = serde_json::from_str(&text).unwrap();
        assert!(got.keys().eq(want.keys()), "{}: other readouts", runner.slug);
        for (key, want) in want {
            let got = got[&key];
            assert!((got - want).abs() <= 1e-3 * want.abs().max(1e-3), "{}: {key}: {got}, on file {want}", runner.slug);
        }
    }
}
