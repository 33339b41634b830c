//! How fast we train in a browser's tab, and how fast others do: `peers <folder> <python> <native> [<work>…]`, where the
//! folder is what `cargo xtask bench --peers` lays out. Prints the rows of one Markdown table.
//!
//! All engines of a work are warm before any is timed. Then they take turns, and the middle turn of each counts. Each in a
//! browser has one of its own, and nobody begins before it is quiet.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::thread::sleep;
use std::time::Duration;

use e2e::{Browser, Look, Outcome, STARTING, Server, middle, number};
use serde_json::{Value, json};

/// Milliseconds. The compilers of a fresh module take three seconds of a second processor.
const WARM: u32 = 3500;
const TURN: u32 = 1000;
const TURNS: usize = 5;
/// Tenths of a second for which a browser may go on after its turn.
const SETTLING: u32 = 60;
/// A first look at a work, fifty steps included, takes no longer.
const LOADING: Duration = Duration::from_secs(300);

/// How far figures may lie apart; relative, for those above one.
const APART: f64 = 1e-5;

/// Clock ticks a second in `/proc`, which Linux shows programs at this rate on every machine.
const TICKS: f64 = 100.0;

const OURS: &str = "ours";
const RELAXED: &str = "ours-relaxed";
const TORCH: &str = "PyTorch, native";
const NATIVE: &str = "ours, native";
const OURS_ALL: &[&str] = &[OURS, RELAXED, NATIVE];
/// Its numbers are compared; its times are those of a graphics card that there is not.
const SOFTWARE: &str = "tfjs-webgpu";

/// One thing to do, and who does it besides ours.
struct Work {
    name: &'static str,
    title: &'static str,
    peers: &'static [&'static str],
    /// What a step is: its name, and how many of them it makes.
    unit: (&'static str, f64),
    bars: &'static [Bar],
}

/// So many times as fast as a peer ours shall be, and ours with relaxed SIMD.
struct Bar {
    peer: &'static str,
    ours: f64,
    relaxed: Option<f64>,
}

/// As `benches/peers/src/operations.rs` has them.
const OPERATIONS: [&str; 15] = [
    "product",
    "linear",
    "linear-relu",
    "linear-tanh",
    "linear-gelu",
    "linear-silu",
    "layer-norm",
    "rms-norm",
    "attention",
    "rotary",
    "embedding",
    "sum",
    "softmax",
    "cross-entropy",
    "exp",
];

const TRAINERS: &[&str] = &["jax-js", "tfjs-wasm", TORCH];

const WORKS: &[Work] = &[
    Work {
        name: "w1",
        title: "W1: MLP 2-16-16-1, tanh, batch 128",
        peers: TRAINERS,
        unit: ("steps", 1.0),
        bars: &[Bar { peer: "jax-js", ours: 8.0, relaxed: None }],
    },
    Work {
        name: "w2",
        title: "W2: MLP 784-256-128-10, relu, batch 128",
        peers: TRAINERS,
        unit: ("steps", 1.0),
        bars: &[Bar { peer: "jax-js", ours: 1.35, relaxed: Some(1.6) }, Bar { peer: TORCH, ours: 0.35, relaxed: None }],
    },
    Work {
        name: "w3",
        title: "W3: transformer, 2 layers of 64, 16 × 32 tokens",
        peers: TRAINERS,
        unit: ("steps", 1.0),
        bars: &[Bar { peer: "jax-js", ours: 2.5, relaxed: None }, Bar { peer: TORCH, ours: 0.35, relaxed: None }],
    },
    Work {
        name: "w4",
        title: "W4: the induction lab's network on one batch",
        peers: TRAINERS,
        unit: ("steps", 1.0),
        bars: &[],
    },
    Work {
        name: "w5",
        title: "W5: the house transformer writes 120 tokens",
        peers: &["onnxruntime-web", "transformers.js", TORCH],
        unit: ("tokens", 120.0),
        bars: &[Bar { peer: "onnxruntime-web", ours: 2.0, relaxed: None }],
    },
    product("w6-64", "W6: product of matrices of 64", 64.0),
    product("w6-128", "W6: product of matrices of 128", 128.0),
    product("w6-256", "W6: product of matrices of 256", 256.0),
    product("w6-512", "W6: product of matrices of 512", 512.0),
];

const fn product(name: &'static str, title: &'static str, size: f64) -> Work {
    let peers = &["jax-js", "tfjs-wasm", "onnxruntime-web", TORCH];
    Work { name, title, peers, unit: ("GFLOP", 2.0 * size * size * size / 1e9), bars: &[] }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.as_slice() {
        [folder, python, native, works @ ..] => measure(Path::new(folder), python, native, works),
        _ => Err("usage: peers <folder> <python> <native> [<work>…]".to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

fn measure(folder: &Path, python: &str, native: &str, named: &[String]) -> Outcome {
    let server = Server::start_kept(folder)?;
    let wanted = |work: &&Work| named.is_empty() || named.iter().any(|name| name == work.name);
    let works: Vec<&Work> = WORKS.iter().filter(wanted).collect();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../benches/peers/python/pytorch.py");
    let mut engines = BTreeMap::new();
    for name in works.iter().flat_map(|work| OURS_ALL.iter().chain(work.peers)) {
        if !engines.contains_key(name) {
            let engine = match *name {
                NATIVE => Engine::program(&mut Command::new(native)),
                TORCH => Engine::program(Command::new(python).arg(script).arg(folder.join("data"))),
                _ => Engine::browser(Look::default()),
            };
            engines.insert(*name, engine?);
        }
    }
    let mut agreed = BTreeMap::new();
    for work in &works {
        agreed.insert(work.name, time(&mut engines, &server, work)?);
    }
    drop(engines);
    let mut software = Engine::browser(Look { webgpu: true, ..Look::default() })?;
    // Fifty steps of more would take it an hour.
    for work in works.iter().filter(|work| ["w1", "w2"].contains(&work.name)) {
        let answer = software.load(SOFTWARE, &server, work.name)?;
        let agrees = agreement(&answer, agreed.get(work.name).and_then(Option::as_ref));
        row(work, SOFTWARE, &["not timed: WebGPU in software", "", &agrees, "", "", "", ""]);
    }
    drop(software);
    if named.is_empty() || named.iter().any(|name| name == "operations") { operations(&server) } else { Ok(()) }
}

/// Times each fused operation and, in turns with it, the same made of Burn's primitives.
fn operations(server: &Server) -> Outcome {
    println!("### Operations");
    let mut sides = [Engine::browser(Look::default())?, Engine::browser(Look::default())?];
    for name in OPERATIONS {
        for (engine, kind) in sides.iter_mut().zip(["", "-plain"]) {
            let answer = engine.load(OURS, server, &format!("operation {name}{kind}"))?;
            figures(&answer).ok_or_else(|| format!("{name}{kind}: {answer}"))?;
            engine.run(OURS, WARM)?;
            engine.settle()?;
        }
        let mut times = [vec![], vec![]];
        for _ in 0..TURNS {
            for (engine, times) in sides.iter_mut().zip(&mut times) {
                let before = engine.processor_time()?;
                let answer = engine.run(OURS, TURN)?;
                times.push((engine.processor_time()? - before) / number(&answer["steps"]) * 1e6);
            }
        }
        let [fused, plain] = times.map(middle);
        println!("| {} | {} | {} | {:.1} |", name.replace('-', " "), rounded(fused), rounded(plain), plain / fused);
    }
    Ok(())
}

/// Times all engines on a work and prints their rows; gives the figures of ours.
fn time(engines: &mut BTreeMap<&str, Engine>, server: &Server, work: &Work) -> Outcome<Option<Vec<f64>>> {
    let mut reference = None;
    let mut tried = Vec::new();
    for name in OURS_ALL.iter().chain(work.peers).copied() {
        let engine = engines.get_mut(name).ok_or_else(|| format!("{name} was not started."))?;
        let answer = engine.load(name, server, work.name)?;
        // Ours comes first.
        reference = reference.or_else(|| figures(&answer));
        let agrees = agreement(&answer, reference.as_ref());
        // One that does something else is not timed.
        let counts = agrees == "yes";
        if counts {
            engine.run(name, WARM)?;
            engine.settle()?;
        }
        tried.push((name, agrees, counts, Vec::new()));
    }
    for _ in 0..TURNS {
        for (name, _, _, turns) in tried.iter_mut().filter(|(_, _, counts, _)| *counts) {
            let engine = engines.get_mut(name).ok_or_else(|| format!("{name} was not started."))?;
            let before = engine.processor_time()?;
            let answer = engine.run(name, TURN)?;
            let spent = engine.processor_time()? - before;
            engine.settle()?;
            let done = number(&answer["steps"]) * work.unit.1;
            turns.push([done / spent, done / number(&answer["time"]) * 1000.0]);
        }
    }
    let rates: BTreeMap<&str, [f64; 2]> = tried
        .iter()
        .filter(|(_, _, counts, _)| *counts)
        .map(|(name, _, _, turns)| (*name, [0, 1].map(|at| middle(turns.iter().map(|turn| turn[at]).collect()))))
        .collect();
    for (name, agrees, ..) in &tried {
        let ratio = |ours: &str| Some(rates.get(ours)?[0] / rates.get(name)?[0]);
        let (plain, relaxed) = (ratio(OURS), ratio(RELAXED));
        let shown = |ratio: Option<f64>| ratio.map_or(String::new(), |ratio| format!("{ratio:.2}"));
        let [spent, passed] = match rates.get(name) {
            Some(rates) => rates.map(|rate| format!("{} {}", rounded(rate), work.unit.0)),
            None => ["not timed".to_owned(), String::new()],
        };
        let bar = work.bars.iter().find(|bar| bar.peer == *name);
        let (bar, met) = bar.map_or_else(Default::default, |bar| judged(bar, plain, relaxed));
        let peer = work.peers.contains(name);
        let [plain, relaxed] = [plain, relaxed].map(|ratio| if peer { shown(ratio) } else { String::new() });
        row(work, name, &[&spent, &passed, agrees, &plain, &relaxed, &bar, &met]);
    }
    Ok(reference)
}

/// A bar in words, and whether it is met.
fn judged(bar: &Bar, plain: Option<f64>, relaxed: Option<f64>) -> (String, String) {
    let met = |ratio: Option<f64>, least: f64| match ratio {
        Some(ratio) if ratio >= least => "yes",
        Some(_) => "no",
        None => "n/a",
    };
    let (mut words, mut answer) = (format!("≥ {}", bar.ours), met(plain, bar.ours).to_owned());
    if let Some(least) = bar.relaxed {
        words += &format!(", relaxed ≥ {least}");
        answer += &format!(", {}", met(relaxed, least));
    }
    (words, answer)
}

fn row(work: &Work, engine: &str, cells: &[&str; 7]) {
    println!("| {} | {engine} | {} |", work.title, cells.join(" | "));
}

fn figures(answer: &Value) -> Option<Vec<f64>> {
    Some(answer["figures"].as_array()?.iter().map(number).collect())
}

/// Whether an engine came to the same figures as ours, or why it did not.
fn agreement(answer: &Value, ours: Option<&Vec<f64>>) -> String {
    let (theirs, ours) = match (figures(answer), ours) {
        (None, _) => return answer["problem"].as_str().unwrap_or("no answer").replace('|', "/"),
        (_, None) => return "nothing to agree with".to_owned(),
        (Some(theirs), Some(ours)) => (theirs, ours),
    };
    let apart = |(one, other): (&f64, &f64)| (one - other).abs() / other.abs().max(1.0);
    let close = |apart: f64| apart <= APART;
    match ours.iter().zip(&theirs).map(apart).max_by(f64::total_cmp) {
        _ if ours.len() != theirs.len() => format!("no: {} figures, not {}", theirs.len(), ours.len()),
        Some(most) if close(most) => "yes".to_owned(),
        Some(most) => format!("no: {most:.1e} apart"),
        None => "no figures".to_owned(),
    }
}

/// What runs steps, and the process that it began with.
struct Engine {
    place: Place,
    process: u32,
}

enum Place {
    Browser(Browser),
    Program(Program),
}

/// Does what its standard input asks for, line by line.
struct Program {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Engine {
    fn browser(look: Look) -> Outcome<Self> {
        let before = children()?;
        let place = Place::Browser(Browser::start(look)?);
        let process = children()?.into_iter().find(|process| !before.contains(process));
        Ok(Self { place, process: process.ok_or("a browser is no process of its own.")? })
    }

    fn program(command: &mut Command) -> Outcome<Self> {
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = spawned.map_err(|error| format!("{}: {error}", command.get_program().display()))?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let (Some(input), Some(output)) = (input, output) else { return Err("a program has no pipes.".to_owned()) };
        let process = child.id();
        Ok(Self { place: Place::Program(Program { child, input, output: BufReader::new(output) }), process })
    }

    /// Begins a work, and ends the one before.
    fn load(&mut self, name: &str, server: &Server, work: &str) -> Outcome<Value> {
        let page = match &mut self.place {
            Place::Program(program) => return program.ask("load", work),
            Place::Browser(browser) => browser.page(),
        };
        page.open(&server.address("web/index.html"))?;
        page.eventually(STARTING, "page of the peers", || {
            Ok((page.script("return window.there", json!([]))? == json!(true)).then_some(()))
        })?;
        // A script may not take as long as WebGPU in software does.
        let begin = "window.answer = null; window.load(...arguments).then((answer) => { window.answer = answer; })";
        page.script(begin, json!([name, work]))?;
        page.eventually(LOADING, &format!("{work} of {name}"), || {
            sleep(Duration::from_millis(200));
            Ok(Some(page.script("return window.answer", json!([]))?).filter(Value::is_object))
        })
    }

    /// Takes steps for some milliseconds.
    fn run(&mut self, name: &str, time: u32) -> Outcome<Value> {
        match &mut self.place {
            Place::Program(program) => program.ask("run", &time.to_string()),
            Place::Browser(browser) => browser.page().script("return window.run(...arguments)", json!([name, time])),
        }
    }

    /// Waits until it does nothing: some leave their browser work for seconds, which is neither theirs nor the next one's.
    fn settle(&self) -> Outcome {
        for _ in 0..SETTLING {
            let before = self.processor_time()?;
            sleep(Duration::from_millis(100));
            // A tick or two is what an idle browser takes.
            if self.processor_time()? - before <= 2.5 / TICKS {
                break;
            }
        }
        Ok(())
    }

    /// Seconds of it that all processes have used that came of its first: in a browser's case the driver, which waits,
    /// and everything that Chromium consists of.
    fn processor_time(&self) -> Outcome<f64> {
        let processes = processes()?;
        let own = |process: &u32| {
            let mut process = *process;
            while process != self.process {
                let Some((parent, _)) = processes.get(&process) else { return false };
                process = *parent;
            }
            true
        };
        let ticks: u32 = processes.iter().filter(|(process, _)| own(process)).map(|(_, (_, ticks))| ticks).sum();
        Ok(f64::from(ticks) / TICKS)
    }
}

impl Program {
    fn ask(&mut self, word: &str, argument: &str) -> Outcome<Value> {
        let mut line = String::new();
        writeln!(self.input, "{word} {argument}")
            .and_then(|()| self.output.read_line(&mut line))
            .map_err(|error| format!("a program that was asked to {word}: {error}"))?;
        serde_json::from_str(&line).map_err(|error| format!("a program answered {line:?}: {error}"))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _dead = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// What this program started itself.
fn children() -> Outcome<Vec<u32>> {
    let here = std::process::id();
    Ok(processes()?.into_iter().filter(|(_, (parent, _))| *parent == here).map(|(process, _)| process).collect())
}

/// All processes: who started each, and how many ticks of processor time it has used.
fn processes() -> Outcome<BTreeMap<u32, (u32, u32)>> {
    let mut processes = BTreeMap::new();
    for entry in fs::read_dir("/proc").map_err(|error| format!("/proc: {error}"))?.filter_map(Result::ok) {
        let Some(process) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // It may have ended meanwhile.
        let Ok(line) = fs::read_to_string(entry.path().join("stat")) else { continue };
        // Its name, in brackets, may hold anything.
        let fields: Vec<&str> = line.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let field = |at: usize| fields.get(at).and_then(|field| field.parse::<u32>().ok()).unwrap_or(0);
        processes.insert(process, (field(1), field(11) + field(12)));
    }
    Ok(processes)
}

/// Three figures, or all before the point.
fn rounded(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}
