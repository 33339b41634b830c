//! Measures the built site and writes the table down.

use std::fmt::Write as _;

use crate::run::{Outcome, ask, cargo, program, run_reading};
use crate::site::{files, read_text, write};
use crate::{root, setup, site};

pub fn bench() -> Outcome {
    setup::for_browser()?;
    let dist = root().join("dist");
    if !dist.join("index.html").is_file() {
        site::build()?;
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut browser = None;
    for name in ["chromium", "google-chrome"] {
        browser = browser.or_else(|| ask(program(name).arg("--version")));
    }
    let browser = browser.unwrap_or_else(|| "unknown".to_owned());
    let mut page = format!(
        "# Sizes and speeds\n\nWritten by `cargo xtask bench` from `dist/` as `cargo xtask build` makes it, on {cores} cores, in\n\
         {browser}, headless, drawing in software.\n\n\
         | file | bytes | gzip | brotli | budget, gzip |\n| --- | ---: | ---: | ---: | ---: |\n"
    );
    for file in files(&dist)? {
        let name = site::name(&file);
        if name.ends_with(".wasm") || name.ends_with(".js") || name.ends_with(".css") {
            let sizes = site::packed(&file)?;
            let brotli = brotli(&file).map_or("n/a".to_owned(), |size| size.to_string());
            let budget = site::budget(&name).map_or(String::new(), |kib| format!("{} KiB", kib));
            writeln!(page, "| {name} | {} | {} | {brotli} | {budget} |", sizes.0, sizes.1)
                .map_err(|error| error.to_string())?;
        }
    }
    page += "\n| what | value | budget |\n| --- | ---: | ---: |\n";
    let mut bench = cargo();
    bench.args(["run", "--quiet", "--package", "e2e", "--bin", "bench", "--"]).arg(&dist);
    run_reading(&mut bench, |line| {
        if line.starts_with('|') {
            page += line;
            page.push('\n');
        }
    })?;
    write(&root().join("benches/latest.md"), page.as_bytes())?;
    println!("{}", read_text(&root().join("benches/latest.md"))?);
    Ok(())
}

/// The size after brotli at its best, which Node can tell.
fn brotli(file: &std::path::Path) -> Option<usize> {
    let script = "const b = require('fs').readFileSync(process.argv[1]); console.log(require('zlib').brotliCompressSync(b).length)";
    ask(program("node").args(["-e", script]).arg(file))?.parse().ok()
}
