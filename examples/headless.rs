//! Runs a lab in the terminal, without a page.
//!
//! `cargo run --example headless -- <slug> [query] [--steps N] [--out DIR] [--file KEY=PATH]` prints the readouts
//! of the last frame; with `--out` it writes each of its charts as a picture, and every panel as a table.
//! `cargo run --example headless -- posters DIR` writes what the home page shows of each lab before it has run.
//! `cargo run --example headless -- real-cache FILE OUT` writes what every method costs on such a file into OUT, beside what it
//! costs on the cache of the page's own model.
//! `cargo run --example headless -- train house DIR [SEED…]` trains the model of the KV cache as its lab does, and writes it as
//! `house-<seed>.safetensors`; without seeds, those of 1, 2 and 3.
//! `cargo run --example headless -- train link DIR` trains the models of the default world of LINK, and writes each as
//! `link-<part>.safetensors`.

use std::collections::HashMap;
use std::future::{Future, ready};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::rc::Rc;
use std::time::Instant;

use burn::module::Module;
use burn::tensor::Device;
use heads_and_tails::chart::svg::{Size, standalone};
use heads_and_tails::chart::table;
use heads_and_tails::chart::{Chart, Ink, Mark, thin};
use heads_and_tails::drive::{BUDGET, Recorder, find};
use heads_and_tails::lab::{
    Body, Cell, Frame, Host, HttpRequest, HttpResponse, LabError, Node, Panel, Readout, State, Status, Task, Token,
    Tree, Values, World, seeded,
};
use heads_and_tails::labs::link::models as link;
use heads_and_tails::labs::{CATALOGUE, RUNNERS};
use heads_and_tails::mech::adam::{load_parameters, parameters};
use heads_and_tails::mech::cache_file::CacheFile;
use heads_and_tails::mech::checkpoint::{self, About};
use heads_and_tails::mech::house_transformer::HouseTransformerConfig;
use heads_and_tails::mech::kv_cache::LayerShape;
use heads_and_tails::mech::recall_language::VOCABULARY;
use heads_and_tails::mech::rule_search::{Mistakes, Role, Texts};

type Failure = Box<dyn std::error::Error>;

/// Largest poster, in bytes: the home page loads one for each paper.
const MOST_BYTES: usize = 30_000;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["posters", folder] => posters(Path::new(folder)),
        ["real-cache", file, out] => real_cache(Path::new(file), Path::new(out)),
        ["train", "house", folder] => train_house(Path::new(folder), &["1", "2", "3"]),
        ["train", "house", folder, ref seeds @ ..] => train_house(Path::new(folder), seeds),
        ["train", "link", folder] => train_link(Path::new(folder)),
        [] | ["--help" | "-h"] => {
            println!(
                "headless <slug> [query] [--steps N] [--out DIR] [--file KEY=PATH]\nheadless posters DIR\nheadless real-cache FILE OUT\nheadless train house DIR [SEED…]\nheadless train link DIR\n\nLabs:"
            );
            for entry in CATALOGUE {
                println!("  {:24}{}", entry.card.slug, entry.card.hook);
            }
            Ok(())
        }
        _ => run(Wish::read(&arguments)?),
    }
}

/// What the command line asks for.
#[derive(Default)]
struct Wish {
    slug: String,
    query: String,
    steps: Option<u64>,
    out: Option<PathBuf>,
    files: HashMap<String, Rc<[u8]>>,
}

impl Wish {
    fn read(arguments: &[String]) -> Result<Self, Failure> {
        let mut wish = Self::default();
        let mut rest = arguments.iter();
        let mut plain = 0;
        while let Some(argument) = rest.next() {
            let mut value = || rest.next().ok_or_else(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "--steps" => wish.steps = Some(value()?.parse()?),
                "--out" => wish.out = Some(value()?.into()),
                "--file" => {
                    let (key, path) = value()?.split_once('=').ok_or("--file needs KEY=PATH")?;
                    wish.files.insert(key.to_owned(), std::fs::read(path)?.into());
                }
                text if plain == 0 => (wish.slug, plain) = (text.to_owned(), 1),
                text if plain == 1 => (wish.query, plain) = (text.to_owned(), 2),
                text => return Err(format!("“{text}” is not understood").into()),
            }
        }
        Ok(wish)
    }
}

fn run(wish: Wish) -> Result<(), Failure> {
    let Ran { frame, values, seconds, recording, recorded, .. } =
        last_frame(&wish.slug, &wish.query, wish.steps, wish.files)?;
    let rate = frame.step as f64 / seconds;
    println!("{} at step {} after {seconds:.1} s, {rate:.0} steps a second", wish.slug, frame.step);
    // What the engine keeps for the time line.
    let (share, mib) = (100.0 * recording / seconds, recorded as f64 / f64::from(1 << 20));
    println!("recording took {share:.1} % more, {:.0} ms, and {mib:.1} MiB", 1000.0 * recording);
    println!("{}\n", values.to_query());
    for (key, value) in frame.readouts() {
        println!("{key:32}{value:>14.5}");
    }
    for panel in &frame.panels {
        println!("\n{}: {}", panel.title, panel.spoken());
    }
    let Some(folder) = wish.out else { return Ok(()) };
    std::fs::create_dir_all(&folder)?;
    for panel in &frame.panels {
        for (name, text) in files(panel)? {
            std::fs::write(folder.join(name), text)?;
        }
    }
    Ok(())
}

/// A panel as files, `(name, text)`: a picture if it is a chart, and a table.
pub fn files(panel: &Panel) -> Result<Vec<(String, String)>, Failure> {
    let numbers = format!("{}.csv", panel.id);
    let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let rows = match &panel.body {
        Body::Chart(chart) => {
            let picture = standalone(chart, &panel.title, Size::new(640.0, 360.0));
            return Ok(vec![(format!("{}.svg", panel.id), picture), (numbers, table::csv(chart))]);
        }
        Body::Tokens(tokens) => {
            let token = |(index, token): (usize, &Token)| {
                let arcs = tokens.arcs.iter().filter(|arc| arc.from == index);
                let looks: Vec<String> = arcs.map(|arc| format!("{}: {}", arc.to, arc.share)).collect();
                vec![index.to_string(), token.text.clone(), token.note.clone(), looks.join("; ")]
            };
            let head = texts(&["index", "text", "note", "looks at"]);
            std::iter::once(head).chain(tokens.tokens.iter().enumerate().map(token)).collect::<Vec<_>>()
        }
        Body::Table(table) => {
            let cell = |cell: &Cell| match cell {
                Cell::Text(text) => text.clone(),
                Cell::Number(number) => number.to_string(),
                Cell::Line { values, .. } => values.iter().map(f32::to_string).collect::<Vec<_>>().join(" "),
            };
            let rows = table.rows.iter().map(|row| row.iter().map(cell).collect());
            std::iter::once(table.head.clone()).chain(rows).collect()
        }
        Body::Tree(tree) => {
            let node = |(index, node): (usize, &Node)| {
                let parent = node.parent.map(|parent| parent.to_string()).unwrap_or_default();
                vec![index.to_string(), parent, node.text.clone(), node.note.clone()]
            };
            let head = texts(&["index", "parent", "text", "note"]);
            std::iter::once(head).chain(tree.nodes.iter().enumerate().map(node)).collect()
        }
        Body::Readouts(list) => {
            let row = |readout: &Readout| {
                let Readout { key, of, name, unit, value, .. } = readout;
                vec![key.clone(), of.clone(), name.clone(), unit.clone(), value.to_string()]
            };
            std::iter::once(texts(&["key", "of", "name", "unit", "value"])).chain(list.iter().map(row)).collect()
        }
    };
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.write_record(row)?;
    }
    Ok(vec![(numbers, String::from_utf8(writer.into_inner()?)?)])
}

/// A run that has ended.
struct Ran {
    frame: Frame,
    state: State,
    /// What its query was mended to.
    values: Values,
    /// Seconds that its steps took, and what keeping some of them took besides.
    seconds: f64,
    recording: f64,
    /// Bytes of what was kept.
    recorded: usize,
}

/// Runs a lab to its end, or for so many steps, and records it as an engine does.
fn last_frame(slug: &str, query: &str, steps: Option<u64>, files: HashMap<String, Rc<[u8]>>) -> Result<Ran, LabError> {
    let runner = find(RUNNERS, slug)?;
    let (values, problems) = Values::from_query(runner.specs, query);
    for problem in problems {
        eprintln!("{}: {}", problem.key, problem.message);
    }
    let host = Host::new(Device::flex(), Rc::new(Terminal { begin: Instant::now(), files }));
    pollster::block_on(async {
        let mut lab = (runner.start)(&values, &host).await?;
        let mut left = steps.unwrap_or(u64::MAX);
        let mut recorder = Recorder::new(lab.frame().of, BUDGET);
        let (mut seconds, mut recording, mut step) = (0.0, 0.0, 0);
        let mut running = true;
        while left > 0 && running {
            let begin = Instant::now();
            running = lab.step(&host).await? == Status::Running;
            seconds += begin.elapsed().as_secs_f64();
            (left, step) = (left - 1, step + 1);
            if recorder.wants(step) {
                let begin = Instant::now();
                lab.settle().await?;
                recorder.record(lab.save().await?, lab.frame());
                recording += begin.elapsed().as_secs_f64();
            }
        }
        lab.settle().await?;
        Ok(Ran { frame: lab.frame(), state: lab.save().await?, values, seconds, recording, recorded: recorder.bytes() })
    })
}

/// The house transformer after its card's recipe, for each of these seeds.
fn train_house(folder: &Path, seeds: &[&str]) -> Result<(), Failure> {
    std::fs::create_dir_all(folder)?;
    for seed in seeds {
        let query = format!("steps=1400&schedule=1400&tested=256&seed={seed}");
        let Ran { frame, state, values, seconds, .. } = last_frame("kv-cache-train", &query, None, HashMap::new())?;
        let readouts = frame.readouts();
        let figure = |key: &str| readouts.get(key).map_or_else(|| "unknown".to_owned(), |value| format!("{value:.4}"));
        let about: About = [
            ("model", "house transformer on the recall language".to_owned()),
            ("command", format!("cargo xtask train house {seed}")),
            ("lab", format!("?lab=kv-cache-train#{}", values.to_query())),
            ("seed", (*seed).to_owned()),
            ("steps", frame.step.to_string()),
            ("recall", figure("recall")),
            ("needle_recall", figure("needles")),
            ("sink", figure("sink")),
        ]
        .map(|(key, text)| (key.to_owned(), text))
        .into();
        let net = seeded(0, &Device::flex(), |device| HouseTransformerConfig::new(VOCABULARY).init(device));
        let net = load_parameters(net, state.get("net")?);
        let bytes = pollster::block_on(checkpoint::write(&net, &about)).map_err(|error| format!("{error:?}"))?;
        let file = folder.join(format!("house-{seed}.safetensors"));
        std::fs::write(&file, &bytes)?;
        println!("{}: {} bytes after {seconds:.1} s", file.display(), bytes.len());
        for (key, text) in about.iter().chain([(&"recall at step 300".to_owned(), &figure("recall_300"))]) {
            println!("  {key:20}{text}");
        }
    }
    Ok(())
}

/// The models of the default world of LINK, one after the other: two of them go on from what earlier ones have become.
fn train_link(folder: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(folder)?;
    let host = Host::new(Device::flex(), Rc::new(Terminal { begin: Instant::now(), files: HashMap::new() }));
    let recipe = link::Recipe::shipped();
    let texts = Texts::new(recipe.base.clone(), link::POPULARITY, Role::Proposer.exponent());
    let mut mistakes = Mistakes::default();
    let mut critic: Option<Vec<Vec<f32>>> = None;
    for role in Role::ALL {
        let taught = role == Role::TaughtCritic;
        let before = critic.as_deref().filter(|_| taught);
        let lessons = if taught { mistakes.clone() } else { Mistakes::default() };
        let mut apprentice = link::Apprentice::new(role, &recipe, before, lessons, &host.device);
        let (begin, mut losses) = (Instant::now(), vec![]);
        while !apprentice.is_over() {
            losses.extend(pollster::block_on(heads_and_tails::lab::read(apprentice.step()))?);
        }
        let last = &losses[losses.len() - 50..];
        let loss = last.iter().sum::<f32>() / last.len() as f32;
        let about: About = [
            ("model", format!("{} of the default world of LINK", role.slug())),
            ("command", "cargo xtask train link".to_owned()),
            ("seed", recipe.seed.to_string()),
            ("steps", apprentice.steps().to_string()),
            ("loss", format!("{loss:.4} nats a learned token, mean of the last 50 steps")),
        ]
        .map(|(key, text)| (key.to_owned(), text))
        .into();
        let net = apprentice.net().clone().fork(&Device::flex());
        let bytes = pollster::block_on(checkpoint::write(&net, &about)).map_err(|error| format!("{error:?}"))?;
        let file = folder.join(format!("link-{}.safetensors", role.slug()));
        std::fs::write(&file, &bytes)?;
        let seconds = begin.elapsed().as_secs_f64();
        println!("{}: {} bytes after {seconds:.1} s, loss {loss:.4}", file.display(), bytes.len());
        match role {
            Role::Proposer => {
                let mut tree = pollster::block_on(apprentice.tree())?;
                mistakes = pollster::block_on(link::mistakes(&texts, &mut tree, &recipe, &host));
                println!("  proposed: {} right, {} wrong", mistakes.right.len(), mistakes.wrong.len());
            }
            Role::Critic => {
                critic = Some(pollster::block_on(parameters(&net)).map_err(|error| format!("{error:?}"))?);
            }
            Role::Evaluator | Role::TaughtCritic | Role::HeadCritic => {}
        }
    }
    Ok(())
}

/// Shares that are kept, each run with so many bits; RotateKV clips at two bits only.
const SETTINGS: [(&str, &str); 3] = [("0.5", "4&clip=1"), ("0.25", "3&clip=1"), ("0.1", "2")];

/// Writes a page of what every method costs on the cache in a file, beside what it costs on the house transformer's.
fn real_cache(file: &Path, out: &Path) -> Result<(), Failure> {
    let bytes: Rc<[u8]> = std::fs::read(file)?.into();
    let cache = CacheFile::open(bytes.clone())?;
    // The tables alone, without the curves: a step for each layer of both.
    let run = |window: usize, layers: usize, name: &str, (keep, bits): (&str, &str)| {
        let query = format!("file={name}&keep={keep}&bits={bits}&window={window}");
        let files = HashMap::from([("file".to_owned(), bytes.clone())]);
        last_frame("kv-cache-own", &query, Some(2 * layers as u64), files).map(|ran| ran.frame)
    };
    let real: Vec<Frame> = SETTINGS
        .iter()
        .map(|setting| run(16, cache.layers, "cache.safetensors", *setting))
        .collect::<Result<_, _>>()?;
    let house: Vec<Frame> = SETTINGS.iter().map(|setting| run(8, 2, "", *setting)).collect::<Result<_, _>>()?;

    let LayerShape { query_heads, key_heads, tokens, d_head } = cache.shape;
    let mut page = format!(
        "# A real cache\n\nWhat the methods of the tab “Your own cache” cost on what SmolLM2-135M-Instruct (Q4_1, one GGUF file) remembers of\n\
         `tests/hosts/text.txt`, beside the cache of the page’s own small model. Written by `cargo xtask real-cache`.\n\n\
         The file: {} layers, {key_heads} heads of keys, {query_heads} of queries, {d_head} numbers a head, {tokens} tokens, {} bytes. The last 24 tokens\n\
         are held out and measure what is lost; errors are those of heads’ outputs, relative, the mean of all layers and\n\
         heads. SnapKV and EMS have a window of 16 tokens there and of 8 on the small model.\n\
         Clipping is at 2 bits only, as in the paper.\n",
        cache.layers,
        cache.bytes(),
    );
    let shares = ["0.5", "0.25", "0.1"];
    page += &cost_table("Fewer tokens", "methods", &shares.map(|share| format!("keep {share}")), [&real, &house]);
    page +=
        &cost_table("Fewer bits", "quantizers", &["4 bits", "3 bits", "2 bits"].map(str::to_owned), [&real, &house]);
    page += "\n## The first token\n\n| figure | SmolLM2 | small model |\n| --- | ---: | ---: |\n";
    for (key, name) in [
        ("sink", "attention that the last tokens give it, mean"),
        ("sink_heads", "heads that give it more than half, share"),
        ("error_first", "output error if it alone is lost"),
        ("error_window", "output error of the last quarter alone"),
        ("error_streaming", "output error of a quarter with the first four"),
    ] {
        let figures = [&real[1], &house[1]].map(|frame| figure(frame, key, 3));
        page += &format!("| {name} | {} |\n", figures.join(" | "));
    }
    std::fs::write(out, page)?;
    Ok(())
}

/// A section with the output error of each row of a panel at every setting, and its bytes at the last.
fn cost_table(title: &str, panel: &str, settings: &[String; 3], sources: [&[Frame]; 2]) -> String {
    let head = |of: &str| {
        let errors = settings.iter().map(|setting| format!(" {of}, {setting} |")).collect::<String>();
        format!("{errors} {of}, bytes at {} |", settings[2])
    };
    let mut table = format!(
        "\n## {title}\n\n| output error |{}{}\n| --- |{}\n",
        head("SmolLM2"),
        head("small model"),
        " ---: |".repeat(8)
    );
    let rows = sources[0][0].panels.iter().find(|shown| shown.id == panel).map(|shown| &shown.body);
    let Some(Body::Readouts(rows)) = rows else { return table };
    for row in rows.iter().filter(|row| row.key.starts_with("error_")) {
        table += &format!("| {} |", row.of);
        for frames in sources {
            frames.iter().for_each(|frame| table += &format!(" {} |", figure(frame, &row.key, 3)));
            table += &format!(" {} |", figure(&frames[2], &row.key.replacen("error", "bytes", 1), 0));
        }
        table.push('\n');
    }
    table
}

fn figure(frame: &Frame, key: &str, decimals: usize) -> String {
    frame.readouts().get(key).map_or_else(|| "–".to_owned(), |value| format!("{value:.decimals$}"))
}

/// The first panel of each lab after its default run, small enough to be loaded with the home page.
fn posters(folder: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(folder)?;
    for entry in CATALOGUE {
        let slug = entry.card.slug;
        let text = poster_of(slug)?;
        println!("{slug:24}{:>8} bytes", text.len());
        std::fs::write(folder.join(format!("{slug}.json")), text)?;
    }
    Ok(())
}

/// The first panel of this lab after its default run, as JSON.
pub fn poster_of(slug: &str) -> Result<String, Failure> {
    let Ran { frame, .. } = last_frame(slug, "", None, HashMap::new())?;
    let panel = frame.panels.into_iter().next().ok_or_else(|| format!("{slug} shows no panel"))?;
    poster(panel)
}

/// At most so many nodes of a tree: those that stand aside go first.
fn prune(tree: &Tree, most: usize) -> Tree {
    let mut pruned = Tree { columns: tree.columns.clone(), nodes: vec![] };
    let mut kept: Vec<Option<usize>> = Vec::with_capacity(tree.nodes.len());
    for node in &tree.nodes {
        let parent = node.parent.map(|parent| kept[parent]);
        let fits = node.ink != Ink::Muted && parent != Some(None) && pruned.nodes.len() < most;
        kept.push(fits.then_some(pruned.nodes.len()));
        if fits {
            pruned.nodes.push(Node { parent: parent.flatten(), ..node.clone() });
        }
    }
    pruned
}

/// A panel as JSON of at most [`MOST_BYTES`].
fn poster(mut panel: Panel) -> Result<String, Failure> {
    for most in [512, 256, 128, 64] {
        match &mut panel.body {
            Body::Chart(chart) => lighten(chart, most),
            Body::Tree(tree) => *tree = prune(tree, most),
            Body::Tokens(_) | Body::Table(_) | Body::Readouts(_) => {}
        }
        let text = rounded(&serde_json::to_value(&panel)?).to_string();
        if text.len() <= MOST_BYTES {
            // JSON has no number for a gap in a line, and the home page could not read what stands in its place.
            serde_json::from_str::<Panel>(&text)?;
            return Ok(text + "\n");
        }
    }
    Err(format!("the panel “{}” is too large for a poster", panel.id).into())
}

fn lighten(chart: &mut Chart, most: usize) {
    for mark in &mut chart.marks {
        match mark {
            Mark::Line { points, .. } => *points = thin(points, most),
            Mark::Dots { points, .. } | Mark::Stems { points, .. } if most < 256 => *points = thin(points, most),
            _ => {}
        }
    }
}

/// Four significant digits are more than a poster shows.
fn rounded(value: &serde_json::Value) -> serde_json::Value {
    use serde_json::Value::{Array, Number, Object};
    match value {
        Array(items) => Array(items.iter().map(rounded).collect()),
        Object(fields) => Object(fields.iter().map(|(key, value)| (key.clone(), rounded(value))).collect()),
        Number(number) if number.is_f64() => {
            let short = format!("{:.3e}", number.as_f64().unwrap_or(0.0)).parse::<f64>();
            serde_json::Value::from(short.unwrap_or(0.0))
        }
        other => other.clone(),
    }
}

/// The world of a terminal: the site's files from the working directory, and nobody to answer a request.
struct Terminal {
    begin: Instant,
    files: HashMap<String, Rc<[u8]>>,
}

impl World for Terminal {
    fn asset<'a>(&'a self, path: &'a str) -> Task<'a, Vec<u8>> {
        let read = std::fs::read(Path::new("public").join(path));
        let failed = |error: std::io::Error| LabError::Asset { path: path.to_owned(), message: error.to_string() };
        Box::pin(ready(read.map_err(failed)))
    }

    fn file(&self, key: &str) -> Option<Rc<[u8]>> {
        self.files.get(key).cloned()
    }

    fn kept<'a>(&'a self, _key: &'a str) -> Task<'a, Option<Vec<u8>>> {
        Box::pin(ready(Ok(None)))
    }

    fn keep<'a>(&'a self, _key: &'a str, _bytes: &'a [u8]) -> Task<'a, bool> {
        // What is recorded here is shown where there is storage.
        Box::pin(ready(Ok(true)))
    }

    fn http(&self, _request: HttpRequest) -> Task<'_, HttpResponse> {
        Box::pin(ready(Err(LabError::NoAddress)))
    }

    fn sent(&self) -> u32 {
        0
    }

    fn now(&self) -> f64 {
        1000.0 * self.begin.elapsed().as_secs_f64()
    }

    fn breathe(&self) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        Box::pin(ready(()))
    }
}
