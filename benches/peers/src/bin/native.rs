//! Ours outside a browser.
//!
//! `native write <folder>` writes what every peer reads. `native <work>` says how fast that work goes, and is what a
//! profiler should look at. Without arguments it does, line by line, what standard input asks for: `load <work>`, and then
//! `run <milliseconds>`; answers are lines of JSON.

use std::io::{self, BufRead, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use peers::given::{Given, WORKS};
use peers::works::{self, Work};
use serde_json::{Value, json};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["write", folder] => write(Path::new(folder)),
        [work] => alone(work),
        [] => answer(),
        _ => Err(io::Error::other("usage: native [write <folder> | <work>]")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

fn write(folder: &Path) -> io::Result<()> {
    WORKS
        .iter()
        .filter_map(|work| Some((work, Given::of(work)?)))
        .try_for_each(|(work, given)| given.write(work, folder))
}

fn alone(work: &str) -> io::Result<()> {
    let mut doing = works::start(work).ok_or_else(|| io::Error::other(format!("there are {}", WORKS.join(", "))))?;
    load(doing.as_mut());
    let before = processor_time();
    let done = run(doing.as_mut(), 5000.0);
    let steps = done["steps"].as_f64().unwrap_or_default();
    match before.zip(processor_time()) {
        Some((before, after)) => println!("{:.0} steps a CPU-second", steps / (after - before)),
        None => println!("{:.0} steps a second", steps / 5.0),
    }
    Ok(())
}

/// Seconds of it that this program has used, where the system tells as Linux does.
fn processor_time() -> Option<f64> {
    let line = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields = line.rsplit(')').next()?.split_whitespace().skip(11).take(2);
    let ticks: f64 = fields.filter_map(|field| field.parse::<f64>().ok()).sum();
    // Linux counts for programs in hundredths.
    Some(ticks / 100.0)
}

fn answer() -> io::Result<()> {
    let mut doing = None;
    for line in io::stdin().lock().lines() {
        let answer = match (line?.split_once(' '), &mut doing) {
            (Some(("load", work)), _) => {
                doing = works::start(work);
                doing.as_mut().map_or_else(|| json!({ "problem": "not done" }), |doing| load(doing.as_mut()))
            }
            (Some(("run", time)), Some(doing)) => run(doing.as_mut(), time.parse().unwrap_or_default()),
            _ => json!({ "problem": "not understood" }),
        };
        println!("{answer}");
        io::stdout().flush()?;
    }
    Ok(())
}

/// The figures after the first step and after fifty more.
fn load(doing: &mut dyn Work) -> Value {
    doing.step();
    let mut figures = doing.figures();
    (0..50).for_each(|_| doing.step());
    figures.extend(doing.figures());
    json!({ "figures": figures })
}

fn run(doing: &mut dyn Work, time: f64) -> Value {
    let (start, mut steps) = (Instant::now(), 0);
    loop {
        doing.step();
        steps += 1;
        let gone = start.elapsed().as_secs_f64() * 1000.0;
        if gone >= time {
            return json!({ "steps": steps, "time": gone });
        }
    }
}
