//! Measures the built site and writes the table down.

use std::path::{Path, PathBuf};

use crate::run::{Outcome, ask, cargo, program, run_reading};
use crate::{peers, root, setup, site};

/// Every table has these columns; what stands in the last gives the value again.
const HEAD: &str = "| what | value | budget | met | with |\n| --- | ---: | ---: | --- | --- |\n";

/// Writes `benches/latest.md`. A folder that is named is another site, whose table is only printed.
pub fn bench(named: Option<&str>) -> Outcome {
    // Before cargo and the browser make a load of their own.
    let load = load();
    setup::for_browser()?;
    let (site, which) = built(named)?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let browser = ["chromium", "chromium-browser", "google-chrome", "chrome"];
    let browser = browser.iter().find_map(|name| ask(program(name).arg("--version")));
    let mut page = format!(
        "# Sizes and speeds\n\n\
         `cargo xtask bench` writes this page and measures everything on it; `HT_BENCH_LONG=1` spreads the restarts over\n\
         ten minutes. What is said to be met or not is so on one machine, at one time: {cores} cores, {load}.\n\n\
         - Site: {which}.\n\
         - Browser: {}, headless, drawing in software, at 1280 × 900.\n\
         - Terminal: cargo's profile `dev` (`Cargo.toml`: the labs at opt-level 1, what computes at 3).\n\n",
        browser.as_deref().unwrap_or("unknown"),
    );
    page += &sizes(&site)?;

    page += "## Steps a second\n\nOf each lab's default run on the CPU. The browser shows it meanwhile, the terminal does not.\n\n";
    page += HEAD;
    let labs = labs()?;
    for lab in &labs {
        page += &natively(lab)?;
    }
    let mut bench = cargo();
    bench.args(["run", "--quiet", "--package", "e2e", "--bin", "bench", "--"]).arg(&site).args(&labs);
    run_reading(&mut bench, |line| {
        if line.starts_with('|') {
            page += line;
            page.push('\n');
        } else if let Some(title) = line.strip_prefix("## ") {
            page += &format!("\n## {title}\n\n{HEAD}");
        }
    })?;

    println!("\n{page}");
    if named.is_some() {
        return Ok(());
    }
    let latest = root().join("benches/latest.md");
    // What was measured against peers stays until that is measured again.
    let before = site::read_text(&latest).unwrap_or_default();
    let peers = peers::section_of(&before);
    let gap = if peers.is_empty() { "" } else { "\n" };
    site::write(&latest, format!("{page}{gap}{peers}").as_bytes())
}

/// The site to measure, and how it came about.
fn built(named: Option<&str>) -> Outcome<(PathBuf, &'static str)> {
    if let Some(folder) = named {
        let folder = std::path::absolute(folder).map_err(|error| format!("{folder}: {error}."))?;
        return Ok((folder, "a folder named on the command line"));
    }
    let dist = root().join("dist");
    if dist.join("index.html").is_file() {
        return Ok((dist, "`dist/`, as `cargo xtask build` makes it, wasm-opt included"));
    }
    Ok((site::build_for_tests()?, "`target/site/`, as tests build it, without wasm-opt"))
}

fn sizes(folder: &Path) -> Outcome<String> {
    let mut table = "## Sizes\n\n| file | bytes | gzip -9 | brotli -q 11 | budget, gzip | met |\n\
                     | --- | ---: | ---: | ---: | ---: | --- |\n"
        .to_owned();
    for file in site::files(folder)? {
        let name = site::name(&file);
        if name.ends_with(".wasm") || name.ends_with(".js") || name.ends_with(".css") {
            let (bytes, gzip) = site::packed(&file)?;
            let brotli = brotli(&file).map_or("n/a".to_owned(), |size| size.to_string());
            let (budget, met) = match site::budget(&name) {
                Some(kib) => (format!("{kib} KiB"), if gzip / 1024 > kib { "no" } else { "yes" }),
                None => (String::new(), ""),
            };
            table += &format!("| {name} | {bytes} | {gzip} | {brotli} | {budget} | {met} |\n");
        }
    }
    Ok(table + "\n")
}

/// The size after brotli at its best, which Node can tell; nothing without Node.
fn brotli(file: &Path) -> Option<usize> {
    let script = "console.log(require('zlib').brotliCompressSync(require('fs').readFileSync(process.argv[1])).length)";
    ask(program("node").args(["-e", script]).arg(file))?.parse().ok()
}

/// The labs that the terminal's program lists.
fn labs() -> Outcome<Vec<String>> {
    let (mut labs, mut listed) = (Vec::new(), false);
    run_reading(cargo().args(["run", "--quiet", "--example", "headless"]), |line| {
        if listed {
            labs.extend(line.split_whitespace().next().map(str::to_owned));
        }
        listed |= line == "Labs:";
    })?;
    if labs.is_empty() { Err("the example `headless` lists no lab.".to_owned()) } else { Ok(labs) }
}

/// A lab's default run in the terminal and what recording it cost, as rows. The recorder holds to its bytes itself.
fn natively(lab: &str) -> Outcome<String> {
    let (mut rate, mut recording) = (None, None);
    run_reading(cargo().args(["run", "--quiet", "--example", "headless", "--", lab]), |line| {
        rate = rate.take().or_else(|| Some(line.strip_suffix(" steps a second")?.rsplit_once(' ')?.1.to_owned()));
        recording = recording.take().or_else(|| Some(line.strip_prefix("recording took ")?.to_owned()));
    })?;
    let untold = || format!("the example `headless` does not say how fast {lab} was.");
    let (rate, recording) = (rate.ok_or_else(untold)?, recording.ok_or_else(untold)?);
    // Of a run that is over at once, a tenth would be nothing.
    let number = |word: usize| recording.split(' ').nth(word).and_then(|word| word.parse().ok()).unwrap_or(f64::NAN);
    let met = if number(0) <= 10.0 || number(3) <= 50.0 { "yes" } else { "no" };
    let with = format!("`cargo run --example headless -- {lab}`");
    Ok(format!(
        "| `{lab}` in the terminal | {rate} |  |  | {with} |\n\
         | recording it for the time line | {recording} | 10 % or 50 ms | {met} | {with} |\n"
    ))
}

/// What else the machine was doing, as far as it tells.
fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    match load.split_whitespace().next() {
        Some(load) => format!("with a load of {load} before it began"),
        None => "with an unknown load".to_owned(),
    }
}
