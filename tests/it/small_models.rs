//! The small models of a world: what they read, how they are read, and how they are trained, kept and shipped.

use std::collections::BTreeMap;

use burn::tensor::{Device, Int, Tensor, TensorData};
use heads_and_tails::drive::{Running, find};
use heads_and_tails::lab::{Body, Cell, Host, LabError, Left, Row, Status, Values, read, seeded};
use heads_and_tails::labs::link::models::{Apprentice, POPULARITY, Recipe};
use heads_and_tails::labs::{RUNNERS, entry};
use heads_and_tails::mech::adam::parameters;
use heads_and_tails::mech::checkpoint::{self, About};
use heads_and_tails::mech::rule_search::{
    KnowledgeBase, Lines, Mistakes, Role, Sampling, Texts, fillings, parse, read_statement,
};
use heads_and_tails::mech::word_transformer::{TextTree, WordTransformer, WordTransformerConfig};
use heads_and_tails::seed::Stream;
use pollster::block_on;

use crate::site::{host, host_with};

/// Bytes that the shipped models may have together.
const MOST_BYTES: usize = 1_500_000;

fn texts() -> Texts {
    Texts::new(KnowledgeBase::default(), POPULARITY, 1.0)
}

fn small(seed: u64) -> (WordTransformerConfig, WordTransformer, TextTree) {
    let config = WordTransformerConfig::new(texts().words.count()).with_width(16);
    let net = seeded(seed, &Device::flex(), |device| config.init(device));
    let tree = TextTree::new(config.clone(), block_on(parameters(&net)).unwrap());
    (config, net, tree)
}

fn read_all(tree: &mut TextTree) {
    while !tree.read(7) {}
}

#[test]
fn the_texts_are_the_cards() {
    let texts = texts();
    assert_eq!(texts.words.count(), 548);
    let count = |chain: &_| fillings(&texts.base, chain).len();
    let counts: BTreeMap<&str, usize> =
        texts.base.chains.iter().map(|chain| (chain.name.as_str(), count(chain))).collect();
    assert_eq!(counts, BTreeMap::from([("food", 125), ("time", 777), ("matter", 257), ("place", 1185)]));
    let lines = Lines { facts: 1.0, questions: 1.0, statements: 1.0, checked_facts: 1.0, checked_types: 1.0 };
    let mut stream = Stream::new(1, "lines");
    let longest = (0..20_000).map(|_| texts.lesson(lines, &mut stream).tokens.len()).max();
    assert!(longest <= Some(44), "{longest:?} tokens, for the card's 44");
}

/// What many texts begin with is read once, and in parts; it must come to what the network says of each text alone.
#[test]
fn a_tree_reads_as_the_network_does() {
    let texts = texts();
    let (config, net, mut tree) = small(3);
    let lines = Lines { facts: 1.0, questions: 1.0, statements: 3.0, checked_facts: 1.0, ..Lines::default() };
    let mut stream = Stream::new(2, "lines");
    let lines: Vec<Vec<usize>> = (0..40).map(|_| texts.lesson(lines, &mut stream).tokens).collect();
    let nodes: Vec<usize> = lines.iter().map(|line| tree.text(None, line)).collect();
    read_all(&mut tree);
    assert!(tree.len() < lines.iter().map(Vec::len).sum(), "no two of the texts begin alike");
    for (line, node) in lines.iter().zip(nodes) {
        let whole = |list: Vec<i32>| {
            let count = list.len();
            Tensor::<1, Int>::from_data(TensorData::new(list, [count]), &Device::flex())
        };
        let input = whole(line[..line.len() - 1].iter().map(|&token| token as i32).collect());
        let places = whole((0..line.len() as i32 - 1).collect());
        let logits = block_on(read(net.forward(input.unsqueeze(), places))).unwrap();
        let rows = logits.chunks_exact(config.vocabulary).zip(&line[1..]);
        for ((row, &token), got) in rows.zip(tree.log_probabilities(node)) {
            let sum: f64 = row.iter().map(|&logit| f64::from(logit).exp()).sum();
            let want = f64::from(row[token]) - sum.ln();
            assert!((want - f64::from(got)).abs() < 1e-4, "{}: {got}, for {want}", texts.words.text(line));
        }
    }
}

#[test]
fn a_seed_draws_the_same_texts() {
    let texts = texts();
    let drawn = |seed: u64, most: usize| {
        let (_, _, mut tree) = small(3);
        let prompts = vec![("<q> _ is a dish ?".to_owned(), 6), ("<s> personx is allergic to".to_owned(), 6)];
        let mut sampling = Sampling::new(prompts, &texts, &mut tree, 0.9, 8);
        let mut stream = Stream::new(seed, "drawn");
        while !sampling.is_over() {
            read_all(&mut tree);
            while !sampling.step(&mut tree, most, &mut stream) {}
        }
        sampling.texts(&texts)
    };
    let first = drawn(1, 100);
    assert_eq!(first.iter().map(Vec::len).collect::<Vec<_>>(), [6, 6]);
    assert_eq!(drawn(1, 100), first);
    assert_eq!(drawn(1, 5), first, "in parts");
    assert_ne!(drawn(2, 100), first);
}

/// A name may hold the word that joins facts.
#[test]
fn a_statement_is_read_whatever_its_names_hold() {
    let rule = "eat: cannot_eat(Person *P, Dish B) :- allergic_to(P, Allergen A) & one_type_of(Ingredient Z, A) & ingredient_in(Z, B)";
    let rule = &parse(rule, &KnowledgeBase::default()).unwrap()[0];
    let said = |dish: &str, last: &str| {
        format!(
            "personx is allergic to fish and cod is one type of fish and cod is an ingredient in {dish} and personx cannot eat {last}"
        )
    };
    let dish = "fish and chips";
    let values = read_statement(rule, &said(dish, dish)).unwrap();
    let value = |name: &str| {
        let at = rule.variables.iter().position(|variable| variable.name == name).unwrap();
        values[at].as_deref()
    };
    assert_eq!([value("A"), value("Z"), value("B")], [Some("fish"), Some("cod"), Some(dish)]);
    assert_eq!(read_statement(rule, &said(dish, "fish")), None, "two dishes");
    assert_eq!(read_statement(rule, "personx is allergic to fish and personx cannot eat fish and chips"), None);
}

#[test]
fn a_short_training_lowers_the_loss() {
    let recipe = Recipe { training: 5, ..Recipe::shipped() };
    for role in [Role::Proposer, Role::Critic] {
        let mut apprentice = Apprentice::new(role, &recipe, None, Mistakes::default(), &Device::flex());
        let mut losses = vec![];
        while !apprentice.is_over() {
            losses.extend(block_on(read(apprentice.step())).unwrap());
        }
        assert_eq!(losses.len() as u64, recipe.steps(role));
        let mean = |losses: &[f32]| losses.iter().sum::<f32>() / losses.len() as f32;
        let (first, last) = (mean(&losses[..5]), mean(&losses[losses.len() - 5..]));
        assert!(last < 0.8 * first, "{role:?}: {first} at first, {last} at last");
    }
}

/// Each is fetched when it is first used; together they are the 1.5 MB that the page allows.
#[test]
fn the_shipped_models_are_small_and_good() {
    let config = WordTransformerConfig::new(texts().words.count());
    let net = || seeded(0, &Device::flex(), |device| config.init(device));
    let mut bytes = 0;
    for role in Role::ALL {
        let path = format!("public/models/link-{}.safetensors", role.slug());
        let file = std::fs::read(&path).unwrap_or_else(|_| panic!("{path}: cargo xtask train link writes it"));
        bytes += file.len();
        let (_, about): (_, About) = checkpoint::read(&file, net()).unwrap();
        let recipe = Recipe::shipped();
        assert_eq!(about["command"], "cargo xtask train link", "{path}");
        assert_eq!(about["seed"], recipe.seed.to_string(), "{path}");
        assert_eq!(about["steps"], recipe.steps(role).to_string(), "{path}");
        let loss: f64 = about["loss"].split(' ').next().unwrap().parse().unwrap();
        assert!(role != Role::Proposer || loss < 0.5, "{path}: {loss} nats a token");
    }
    assert!(bytes <= MOST_BYTES, "{bytes} bytes");
}

fn start(slug: &str, query: &str, host: &Host) -> Result<Box<dyn Running>, LabError> {
    let runner = find(RUNNERS, slug).unwrap();
    let (values, problems) = Values::from_query(runner.specs, query);
    assert!(problems.is_empty(), "{problems:?}");
    block_on((runner.start)(&values, host))
}

const TART: &str = "facts=%2B+dish:+tofu+tart%0A%2B+ingredient_in:+tofu,+tofu+tart&training=2";

/// From an edited world through its training to a search in it, by the link that the training offers.
#[test]
fn what_is_trained_here_is_searched_with_there() {
    let host = host();
    let needed = start("link", &format!("models=trained&{TART}"), &host).err().map(|error| error.to_string());
    assert!(needed.unwrap_or_default().contains("Train all five models in “A world of your own”"));
    let unknown = start("link", TART, &host).err().map(|error| error.to_string());
    assert!(unknown.unwrap_or_default().contains("that the shipped models do not know"));

    let mut training = start("link-world", TART, &host).unwrap();
    while block_on(training.step(&host)).unwrap() == Status::Running {}
    block_on(training.settle()).unwrap();
    let frame = training.frame();
    assert_eq!(Some(frame.step), frame.of);
    let mut restored = start("link-world", TART, &host).unwrap();
    block_on(restored.restore(&block_on(training.save()).unwrap(), &host)).unwrap();
    assert_eq!(restored.frame().panels[1..], frame.panels[1..]);

    let [offer] = &frame.offers[..] else { panic!("{:?}", frame.offers) };
    let query = offer.query.strip_prefix("?lab=link#").unwrap();
    let mut search = start("link", &format!("{query}&beam=4&calls=1&critic=world"), &host).unwrap();
    while block_on(search.step(&host)).unwrap() == Status::Running {}
    let tree = &search.frame().panels[0];
    assert!(matches!(&tree.body, Body::Tree(tree) if !tree.nodes.is_empty()));
    assert!(!tree.spoken().contains("did not learn"));
    let other_seed = start("link", &format!("{query}&seed=2"), &host).err().map(|error| error.to_string());
    assert!(other_seed.unwrap_or_default().contains("seed 2"));

    let taken = "facts=-+ingredient_in:+cod,+fish+and+chips";
    let frame = start("link", taken, &host).unwrap().frame();
    assert!(frame.panels[0].spoken().contains("did not learn of your changes"));
    assert_eq!(frame.offers[0].query, format!("?lab=link-world#training=100&seed=1&{taken}"));
}

/// A run is the same from any of its steps, those between two models among them.
#[test]
fn a_training_goes_on_from_wherever_it_was_saved() {
    let query = "training=1&seed=2";
    let runs = || (host(), start("link-world", query, &host()).unwrap());
    let (host, mut whole) = runs();
    let mut saved = vec![];
    let mut frames = vec![];
    loop {
        let status = block_on(whole.step(&host)).unwrap();
        block_on(whole.settle()).unwrap();
        saved.push(block_on(whole.save()).unwrap());
        frames.push(whole.frame());
        if status != Status::Running {
            break;
        }
    }
    // The last step of the proposer, one of the critic, its last, and one of the taught critic.
    let (_, mut other) = runs();
    for at in [12, 30, 46, 50] {
        block_on(other.restore(&saved[at - 1], &host)).unwrap();
        assert!(other.frame() == frames[at - 1], "not the same at {at}");
        for (step, frame) in frames.iter().enumerate().skip(at).take(6) {
            block_on(other.step(&host)).unwrap();
            block_on(other.settle()).unwrap();
            assert!(other.frame() == *frame, "not the same at {} after {at}", step + 1);
        }
    }
}

#[test]
fn a_world_file_is_read_or_refused_in_a_sentence() {
    let page = std::fs::read_to_string("src/labs/link/text/link-world.md").unwrap();
    let example = page.split("```").find(|part| part.trim().starts_with("{\"types\"")).unwrap().trim().to_owned();
    let with = |file: &str| {
        start("link-world", "file=mine.json&training=1", &host_with(file.as_bytes())).map(|lab| lab.frame())
    };
    let frame = with(&example).unwrap();
    assert!(frame.panels.iter().any(|panel| panel.spoken().contains("3 names of 3 types and 2 facts")));
    let refused = [
        (example.replace("prawn\", \"shellfish", "prawns\", \"shellfish"), "no known ingredient"),
        (example.replace("{0} is one type of", "{0}s are one type of"), "The sentence of “one_type_of”"),
        (example.replace("[\"prawn\", \"laksa\"]", ""), "makes no statement"),
        (example.replace("\"laksa\"", "\"Laksa\""), "is no name"),
        (example.replace("\"dish\": [", "\"dish\": "), "This is not JSON"),
        ("{}".to_owned(), "is not a world"),
    ];
    for (file, sentence) in refused {
        let error = with(&file).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.starts_with("World file. ") && error.contains(sentence), "{sentence}: {error}");
    }
}

#[test]
fn a_batch_keeps_the_statements_of_each_of_its_rules() {
    let runner = find(RUNNERS, "link").unwrap();
    let settings: Vec<Values> =
        ["rule=eat", "rule=hate"].iter().map(|query| Values::from_query(runner.specs, query).0).collect();
    let mut rows = vec![];
    let mut done = |index: usize, Left { readouts, found }| {
        let query = settings[index].to_query();
        rows.push(Row { label: ["eat", "hate"][index].to_owned(), query, readouts, found });
    };
    block_on((runner.batch)(&settings, &host(), &mut done)).unwrap();
    for row in &rows {
        let counted = row.readouts["head_count"] + row.readouts["tail_count"];
        assert_eq!(row.found.rows.len() as f64, counted, "{}", row.label);
        let column = |name: &str| row.found.head.iter().position(|head| head == name).unwrap();
        for line in &row.found.rows {
            assert_eq!(line.len(), row.found.head.len());
            let Cell::Text(rule) = &line[column("rule")] else { panic!("{line:?}") };
            assert!(rule.starts_with(&format!("{}: ", row.label)), "{rule}");
            // Whoever is in a list passed a critic that was asked.
            for belief in ["types, P(yes)", "facts, P(yes)"] {
                let Cell::Number(yes) = line[column(belief)] else { panic!("{line:?}") };
                assert!((0.5..=1.0).contains(&yes), "{belief}: {yes}");
            }
        }
    }
    let panels = (entry("link").unwrap().card.batches[0].draw)(&rows);
    let gathered = panels.iter().find_map(|panel| match &panel.body {
        Body::Table(table) if panel.id == "menu-statements" => Some(table.rows.len()),
        _ => None,
    });
    assert_eq!(gathered, Some(rows.iter().map(|row| row.found.rows.len()).sum()));
}
