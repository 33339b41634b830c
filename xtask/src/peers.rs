//! Compares what training costs in a browser with what it costs others, and writes the table down.

use std::path::{Path, PathBuf};

use crate::run::{Outcome, cargo, find, program, run, run_reading};
use crate::{root, setup, site};

const TITLE: &str = "## Against peers";

const HEAD: &str = "\
| work | engine | a CPU-second | a second | agrees | ours is so many times it | relaxed ours | bar | met |
| --- | --- | ---: | ---: | --- | ---: | ---: | --- | --- |
";

const OPERATIONS: &str = "
### Operations

Forward and backward at the sizes of W3: ours, and the same made of Burn's primitives.

| operation | ours, µs of processor | Burn's, µs | times |
| --- | ---: | ---: | ---: |
";

/// Replaces the section of `benches/latest.md`. With works that are named, only those are measured and printed.
pub fn bench(works: &[&str]) -> Outcome {
    let folder = root().join("target/peers");
    setup::for_site()?;
    setup::for_browser()?;
    packages(&folder)?;
    let requirements = root().join("benches/peers/requirements.txt");
    let python = setup::python(&folder.join("python"), &requirements, "PyTorch, a few gigabytes")?;
    let native = build(&folder, &python)?;

    let mut section = format!(
        "{TITLE}\n\n\
         `cargo xtask bench --peers` writes this section; `benches/peers/README.md` says what is measured and how. One run,\n\
         one thread, each engine in a headless Chromium of its own; medians of five turns. A CPU-second is one of all of that\n\
         Chromium's processes together. Who does not agree with ours on the losses is not timed.\n\n{HEAD}"
    );
    let mut bench = cargo();
    bench.args(["run", "--quiet", "--package", "e2e", "--bin", "peers", "--"]);
    bench.arg(&folder).arg(&python).arg(&native).args(works);
    run_reading(&mut bench, |line| {
        if line.starts_with('|') {
            section += line;
            section.push('\n');
        } else if line == "### Operations" {
            section += OPERATIONS;
        }
    })?;

    println!("\n{section}");
    if !works.is_empty() {
        return Ok(());
    }
    let path = root().join("benches/latest.md");
    let page = site::read_text(&path).unwrap_or_default();
    let rest = page.replace(section_of(&page), "");
    site::write(&path, format!("{}\n\n{section}", rest.trim_end()).as_bytes())
}

/// The section of a page, up to the next of its kind; empty where there is none.
pub fn section_of(page: &str) -> &str {
    let Some(start) = page.find(TITLE) else { return "" };
    let end = page[start + TITLE.len()..].find("\n## ").map_or(page.len(), |end| start + TITLE.len() + end + 1);
    &page[start..end]
}

/// What comes through npm: each peer at the version that was measured.
fn packages(folder: &Path) -> Outcome {
    let (wanted, there) = (root().join("benches/peers/package.json"), folder.join("npm/package.json"));
    if site::read_text(&there).ok() == site::read_text(&wanted).ok() && folder.join("npm/node_modules").is_dir() {
        return Ok(());
    }
    println!("Installing jax-js, TensorFlow.js, ONNX Runtime Web and Transformers.js with npm into target/peers/npm.");
    if find("npm").is_none() {
        return Err("the peers come through npm, which was not found. Please install Node.js with npm.".to_owned());
    }
    copy(&wanted, &there)?;
    let mut npm = program("npm");
    // Without what some would compile or download for Node, which no browser runs.
    npm.args(["install", "--ignore-scripts", "--omit=optional", "--no-package-lock", "--no-audit", "--no-fund"]);
    run(npm.arg("--prefix").arg(folder.join("npm"))).inspect_err(|_| drop(std::fs::remove_file(&there)))
}

/// Builds ours and lays out what the browser loads; gives the native program.
fn build(folder: &Path, python: &Path) -> Outcome<PathBuf> {
    let of_peers = ["build", "--package", "peers"];
    run(cargo().args(of_peers).args(["--bin", "native"]))?;
    let native = root().join("target/debug/native");
    run(program(&native).arg("write").arg(folder.join("data")))?;
    let graphs = root().join("benches/peers/python/graphs.py");
    run(program(python).arg(graphs).arg(folder.join("data")).arg(folder.join("graphs")))?;

    for (engine, features) in [("ours", ""), ("ours-relaxed", "relaxed")] {
        let mut module = cargo();
        module.args(of_peers).args(["--bin", "ours", "--profile", "page", "--target", setup::TARGET]);
        // These would replace the flags in .cargo/config.toml, and with them SIMD.
        module.args(["--features", features]).env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
        run(&mut module)?;
        let module = root().join(format!("target/{}/page/ours.wasm", setup::TARGET));
        let mut bindgen = program("wasm-bindgen");
        bindgen.args(["--target", "web", "--no-typescript", "--out-dir"]).arg(folder.join(engine));
        run(bindgen.arg(module))?;
    }

    let scripts = root().join("benches/peers/web");
    site::files(&scripts)?.iter().try_for_each(|file| copy(file, &folder.join("web").join(site::name(file))))?;
    // Under a name by which every server knows a script.
    let runtime = folder.join("npm/node_modules/onnxruntime-web/dist/ort.wasm.bundle.min.mjs");
    copy(&runtime, &folder.join("web/ort.js"))?;
    Ok(native)
}

fn copy(from: &Path, to: &Path) -> Outcome {
    site::write(to, site::read_text(from)?.as_bytes())
}
