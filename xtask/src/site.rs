//! Builds, seals, optimizes and serves the site.

use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use flate2::{Compression, write::GzEncoder};

use crate::run::{Outcome, cargo, program, run};
use crate::{root, setup, text};

/// What modules may weigh after gzip, in KiB, before wasm-opt and with the names of their functions, as tests build
/// them. What is published is a fifth smaller.
const BUDGETS: &[(&str, usize)] = &[("app-", 740), ("cpu-engine", 1340), ("cpu-relaxed-engine", 1340)];

pub fn serve() -> Outcome {
    setup::for_site()?;
    println!("Building the site. The first build takes about ten minutes; then it stands at http://127.0.0.1:8080/");
    println!("and is built again after each edit. Ctrl-C ends it.");
    run(trunk().arg("serve"))
}

pub fn build() -> Outcome {
    setup::for_site()?;
    // Asked for first: a lack should show before the long build, not after it.
    setup::wasm_opt()?;
    let dist = root().join("dist");
    trunk_build(&dist)?;
    for module in modules(&dist)? {
        optimize(&module)?;
    }
    seal(&dist)?;
    weigh(&dist)?;
    println!("The site is in dist/. It runs from any static host, at any path.");
    Ok(())
}

/// The site as tests need it, apart from what is published: without wasm-opt, which takes longer than the tests.
pub fn build_for_tests() -> Outcome<PathBuf> {
    setup::for_site()?;
    let folder = root().join("target/site");
    trunk_build(&folder)?;
    Ok(folder)
}

pub fn look() -> Outcome {
    setup::for_browser()?;
    let dist = root().join("dist");
    let site = if dist.join("index.html").is_file() { dist } else { build_for_tests()? };
    run(cargo().args(["run", "--package", "e2e", "--bin", "look", "--"]).arg(site).arg(root().join("look")))
}

/// Trunk calls this when everything but its last move into place is done.
pub fn seal_for_trunk() -> Outcome {
    let staging = std::env::var_os("TRUNK_STAGING_DIR").ok_or("`seal` is Trunk's hook and needs TRUNK_STAGING_DIR.")?;
    seal(Path::new(&staging))
}

/// Adds what Trunk does not know and names the version. Doing it twice does no harm.
fn seal(site: &Path) -> Outcome {
    text::write_prose(&site.join("text"))?;
    for (from, to) in
        [("public/models", "models"), ("public/posters", "posters"), ("public/data", "data"), ("style/fonts", "fonts")]
    {
        let from = root().join(from);
        if from.is_dir() {
            copy_folder(&from, &site.join(to))?;
        }
    }
    let path = site.join("index.html");
    let html = read_text(&path)?;
    let html = move_script_out(html, site)?;
    let html = set_version(&html, &version(site)?)?;
    write(&path, html.as_bytes())
}

/// `trunk serve` puts its reloading script into the page, where the page's own policy forbids it.
fn move_script_out(html: String, site: &Path) -> Outcome<String> {
    let (open, close) = ("<script>", "</script>");
    let Some((before, rest)) = html.split_once(open) else { return Ok(html) };
    let (script, after) = rest.split_once(close).ok_or("index.html has a script without an end.")?;
    // What Trunk's server would have filled in, had the script stayed in the page.
    let script = script.replace("'{{__TRUNK_ADDRESS__}}'", "location.host").replace("{{__TRUNK_WS_BASE__}}", "/");
    write(&site.join("reload.js"), script.as_bytes())?;
    let html = format!("{before}<script src=\"reload.js\">{close}{after}");
    if html.contains(open) { Err("index.html has more than one inline script.".to_owned()) } else { Ok(html) }
}

fn set_version(html: &str, version: &str) -> Outcome<String> {
    let attribute = "data-version=\"";
    let (before, rest) = html.split_once(attribute).ok_or("index.html does not say where its version goes.")?;
    let (_old, after) = rest.split_once('"').ok_or("index.html has an attribute without an end.")?;
    Ok(format!("{before}{attribute}{version}\"{after}"))
}

/// Changes with any byte of the modules and of what loads them.
fn version(site: &Path) -> Outcome<String> {
    let mut hasher = DefaultHasher::new();
    for file in files(site)? {
        if matches!(extension(&file), "js" | "wasm") {
            hasher.write(&read(&file)?);
        }
    }
    Ok(format!("{:016x}", hasher.finish()))
}

/// Prints what the scripts and modules weigh, and fails when one has outgrown its budget.
pub fn weigh(site: &Path) -> Outcome {
    println!("{:<28} {:>10} {:>10} {:>10}", "file", "KiB", "gzip KiB", "budget");
    let (mut held, mut over) = (0, Vec::new());
    for file in files(site)? {
        if matches!(extension(&file), "js" | "wasm") {
            let (raw, packed) = packed(&file)?;
            let (name, packed) = (name(&file), packed / 1024);
            let budget = budget(&name);
            let shown = budget.map_or(String::new(), |most| most.to_string());
            println!("{name:<28} {:>10} {packed:>10} {shown:>10}", raw / 1024);
            held += usize::from(budget.is_some());
            if let Some(most) = budget.filter(|most| packed > *most) {
                over.push(format!("{name} is {packed} KiB after gzip; its budget is {most} KiB."));
            }
        }
    }
    match (held, over.is_empty()) {
        (held, _) if held < BUDGETS.len() => Err("the site lacks a module.".to_owned()),
        (_, false) => Err(over.join(" ")),
        _ => Ok(()),
    }
}

/// What the module of this name may weigh after gzip, in KiB.
pub fn budget(name: &str) -> Option<usize> {
    let known = BUDGETS.iter().find(|(start, _)| name.starts_with(start) && name.ends_with(".wasm"));
    known.map(|(_, most)| *most)
}

/// Bytes of a file, and after gzip at its best.
pub fn packed(file: &Path) -> Outcome<(usize, usize)> {
    let bytes = read(file)?;
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    let packed = packed.write_all(&bytes).and_then(|()| packed.finish());
    Ok((bytes.len(), packed.map_err(|error| format!("{}: {error}.", file.display()))?.len()))
}

fn trunk() -> Command {
    let mut command = program("trunk");
    // Trunk reads NO_COLOR as true or false and stops at the usual 1.
    command.env_remove("NO_COLOR");
    // These would replace the flags in .cargo/config.toml, and with them SIMD.
    command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    command
}

fn trunk_build(dist: &Path) -> Outcome {
    run(trunk().args(["build", "--dist"]).arg(dist))
}

fn optimize(module: &Path) -> Outcome {
    let start = Instant::now();
    let before = read(module)?.len();
    let mut wasm_opt = setup::wasm_opt()?;
    // Named one by one: "all" would let it use what browsers do not have yet.
    for feature in [
        "bulk-memory",
        "bulk-memory-opt",
        "multivalue",
        "mutable-globals",
        "nontrapping-float-to-int",
        "reference-types",
        "sign-ext",
        "simd",
    ] {
        wasm_opt.arg(format!("--enable-{feature}"));
    }
    if name(module).contains("relaxed") {
        wasm_opt.arg("--enable-relaxed-simd");
    }
    run(wasm_opt.arg("-Os").arg(module).arg("-o").arg(module))?;
    let after = read(module)?.len();
    let seconds = start.elapsed().as_secs();
    println!("{}: {} KiB became {} KiB in {seconds} s.", name(module), before / 1024, after / 1024);
    Ok(())
}

fn modules(site: &Path) -> Outcome<Vec<PathBuf>> {
    Ok(files(site)?.into_iter().filter(|file| extension(file) == "wasm").collect())
}

/// The files of a folder, sorted, so that what is computed from them does not depend on the disk.
pub fn files(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}.", folder.display()))?;
    let mut files: Vec<PathBuf> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_file()).collect();
    files.sort();
    Ok(files)
}

pub fn write(path: &Path, bytes: &[u8]) -> Outcome {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, bytes))
        .map_err(|error| format!("{}: {error}.", path.display()))
}

pub fn read_text(path: &Path) -> Outcome<String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}.", path.display()))
}

fn read(path: &Path) -> Outcome<Vec<u8>> {
    fs::read(path).map_err(|error| format!("{}: {error}.", path.display()))
}

fn copy_folder(from: &Path, to: &Path) -> Outcome {
    for file in files(from)? {
        write(&to.join(name(&file)), &read(&file)?)?;
    }
    let entries = fs::read_dir(from).map_err(|error| format!("{}: {error}.", from.display()))?;
    for folder in entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir()) {
        copy_folder(&folder, &to.join(name(&folder)))?;
    }
    Ok(())
}

pub fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn extension(path: &Path) -> &str {
    path.extension().and_then(|extension| extension.to_str()).unwrap_or_default()
}
