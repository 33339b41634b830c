//! Installs what a command needs and this machine lacks, and says so.
//!
//! Trunk would download wasm-bindgen itself, and a test its browser driver; both fail where only package
//! registries are reachable. So everything comes through cargo, rustup, npm or apt, before it is needed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::run::{Outcome, ask, cargo, find, program, run};
use crate::{root, site};

const TRUNK: &str = "0.21.14";
const GECKODRIVER: &str = "0.36.0";
/// The newest binaryen that was tried on these modules; distributions carry ones that do not know their instructions.
const BINARYEN: &str = "132.0.0";
const AXE: &str = "4.14.1";
pub const TARGET: &str = "wasm32-unknown-unknown";

/// What Trunk needs to build the site.
pub fn for_site() -> Outcome {
    wasm_target()?;
    let wanted = format!("trunk {TRUNK}");
    if ask(program("trunk").arg("--version")) != Some(wanted.clone()) {
        // Its own lock file holds it together.
        install("trunk", TRUNK, &["--locked"], "it builds the site")?;
    }
    let version = locked_version("wasm-bindgen")?;
    if ask(program("wasm-bindgen").arg("--version")) != Some(format!("wasm-bindgen {version}")) {
        // Without --locked: a fresh release's lock file can name crates that a mirror does not have yet.
        install("wasm-bindgen-cli", &version, &[], "its version must be that of the crate in Cargo.lock")?;
    }
    Ok(())
}

/// A browser and the program that drives it.
pub fn for_browser() -> Outcome {
    let browser = ["chromium", "chromium-browser", "google-chrome", "chrome"].iter().any(|name| find(name).is_some());
    if browser && find("chromedriver").is_some() {
        return Ok(());
    }
    apt(&["chromium", "chromium-driver"], "the tests drive the site in a real browser")
}

/// Firefox, for what must be the same in every browser.
pub fn for_firefox() -> Outcome {
    if find("firefox").is_none() && find("firefox-esr").is_none() {
        apt(&["firefox-esr"], "some tests compare two browsers")?;
    }
    if find("geckodriver").is_none() {
        install("geckodriver", GECKODRIVER, &[], "it drives Firefox")?;
    }
    Ok(())
}

/// Installs packages of the system, as whoever may.
fn apt(packages: &[&str], why: &str) -> Outcome {
    println!("Installing {} with apt-get: {why}.", packages.join(" and "));
    let prefix: &[&str] = if ask(program("id").arg("-u")).as_deref() == Some("0") {
        &[]
    } else if ask(program("sudo").args(["-n", "true"])).is_some() {
        &["sudo", "-n"]
    } else {
        &["none"]
    };
    if find("apt-get").is_none() || prefix == ["none"] {
        return Err(format!(
            "{why}, and {} cannot be installed for you here. Please install what your system calls so, with a driver \
             of the same version on the PATH, or run only `cargo xtask test native`.",
            packages.join(" and ")
        ));
    }
    let apt = |words: &[&str]| {
        let all: Vec<&str> = prefix.iter().copied().chain(["apt-get"]).chain(words.iter().copied()).collect();
        let mut command = program(all[0]);
        command.args(&all[1..]).env("DEBIAN_FRONTEND", "noninteractive");
        run(&mut command)
    };
    apt(&["update", "--quiet"])?;
    apt(&[&["install", "--yes", "--quiet", "--no-install-recommends"], packages].concat())
}

/// A Python of its own in a folder, with these packages. `what` says what they are, and what it takes to install them.
pub fn python(folder: &Path, requirements: &Path, what: &str) -> Outcome<PathBuf> {
    let (python, there) = (folder.join("bin/python"), folder.join("requirements.txt"));
    if site::read_text(&there).ok() != site::read_text(requirements).ok() {
        println!("Installing {what}, once, with pip into {}.", folder.display());
        if find("python3").is_none() {
            return Err("Python was not found. Please install Python 3 with venv.".to_owned());
        }
        run(program("python3").args(["-m", "venv"]).arg(folder))?;
        let mut install = program(&python);
        install.args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(requirements);
        // What is compiled there runs on any processor of its kind, not on this very one alone.
        run(install.env("CMAKE_ARGS", "-DGGML_NATIVE=OFF -DGGML_AVX512=OFF"))?;
        site::write(&there, site::read_text(requirements)?.as_bytes())?;
    }
    Ok(python)
}

/// wasm-opt, new enough for what rustc emits.
pub fn wasm_opt() -> Outcome<Command> {
    let new_enough = |version: String| {
        let number: String =
            version.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
        number.parse::<u32>().is_ok_and(|number| number >= 120)
    };
    if ask(program("wasm-opt").arg("--version")).is_some_and(new_enough) {
        return Ok(program("wasm-opt"));
    }
    let folder: PathBuf = root().join("target/tools");
    let script = folder.join("node_modules/binaryen/bin/wasm-opt");
    let package = folder.join("node_modules/binaryen/package.json");
    let there = std::fs::read_to_string(package).is_ok_and(|text| text.contains(&format!("\"{BINARYEN}\"")));
    if !there {
        println!(
            "Installing binaryen {BINARYEN} with npm into target/tools: wasm-opt makes the modules a fifth smaller."
        );
        npm_install(&format!("binaryen@{BINARYEN}"))?;
    }
    let mut command = program("node");
    command.arg(script);
    Ok(command)
}

/// What judges whether everyone can use a page: the path of its script.
pub fn axe() -> Outcome<PathBuf> {
    let folder: PathBuf = root().join("target/tools");
    let script = folder.join("node_modules/axe-core/axe.min.js");
    let package = folder.join("node_modules/axe-core/package.json");
    if !std::fs::read_to_string(package).is_ok_and(|text| text.contains(&format!("\"{AXE}\""))) {
        println!("Installing axe-core {AXE} with npm into target/tools: it looks for what keeps people out of a page.");
        npm_install(&format!("axe-core@{AXE}"))?;
    }
    Ok(script)
}

fn npm_install(package: &str) -> Outcome {
    if find("npm").is_none() {
        return Err(format!("{package} comes through npm, which was not found. Please install Node.js with npm."));
    }
    let folder: PathBuf = root().join("target/tools");
    std::fs::create_dir_all(&folder).map_err(|error| format!("target/tools could not be made: {error}."))?;
    let mut npm = program("npm");
    // With what stands there already, which npm would otherwise take away as not asked for.
    npm.args(["install", "--no-audit", "--no-fund", "--prefix"]).arg(&folder);
    run(npm.arg(package))
}

fn wasm_target() -> Outcome {
    let folder = ask(program("rustc").args(["--print", "target-libdir", "--target", TARGET])).map(PathBuf::from);
    if folder.is_some_and(|folder| folder.is_dir()) {
        return Ok(());
    }
    println!("Adding the target {TARGET}: the site runs as WebAssembly.");
    if find("rustup").is_none() {
        return Err(format!("the Rust here has no standard library for {TARGET}, and no rustup that could add it."));
    }
    run(program("rustup").args(["target", "add", TARGET]))
}

fn install(package: &str, version: &str, flags: &[&str], why: &str) -> Outcome {
    println!("Installing {package} {version} with cargo: {why}. This takes a few minutes, once.");
    let start = Instant::now();
    let mut command = cargo();
    command.args(["install", package, "--version", version]).args(flags);
    // Its own profile links everything as one unit, which takes longer than all its work for us ever will.
    command.envs([
        ("CARGO_PROFILE_RELEASE_LTO", "off"),
        ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
        ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1"),
        ("CARGO_PROFILE_RELEASE_DEBUG", "0"),
    ]);
    run(&mut command)?;
    println!("Installed {package} {version} in {} s.", start.elapsed().as_secs());
    Ok(())
}

/// The version of a crate in Cargo.lock.
fn locked_version(name: &str) -> Outcome<String> {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).map_err(|error| format!("Cargo.lock: {error}."))?;
    let entry = format!("name = \"{name}\"\nversion = \"");
    let after = lock.split_once(&entry).map(|(_, after)| after);
    after
        .and_then(|after| after.split('"').next())
        .map(str::to_owned)
        .ok_or_else(|| format!("Cargo.lock has no {name}."))
}
