//! The project's commands: `cargo xtask <command>`.
//!
//! Apart from the product, and without a dependency on it: what needs a lab runs as an example of the root
//! package, or serving the site would first compile Burn for this machine.

mod bench;
mod hosts;
mod peers;
mod run;
mod setup;
mod site;
mod test;
mod text;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use run::{Outcome, cargo};

const USAGE: &str = "\
usage: cargo xtask <command>

  serve               set up, build the site and serve it at http://127.0.0.1:8080/, again after each edit
  build               set up and build the site for publication into dist/, wasm-opt included
  test                set up and run every test that needs no heavy host
  test --golden DIR   only the golden tests, on the vectors in DIR
  test --hosts        also what needs a heavy host: Firefox, long runs of WebGPU on the processor, a language model
  test STAGE…         only these stages: lint, native, site, web, e2e
  claims [LAB]        every experiment of every card, or of the labs whose names begin so; writes docs/claims.md
  real-cache          the methods on a language model's cache; writes docs/real-cache.md
  look                screenshots of every page, wide and narrow, light and dark, into look/
  bench               sizes and speeds of the site in dist/; writes benches/latest.md
  bench DIR           the same of the site in DIR; only prints it
  bench --peers       training in a tab against others; writes its section of benches/latest.md
  train house [SEED…] train the model of the KV cache and write it into public/models/
  train link          train the five models of LINK's world and write them there
  poster              record the panel that stands on each lab's card into public/posters/
  text [DIR]          turn the labs' prose into HTML in DIR (target/text)
  seal                what Trunk calls after a build: prose, files and version into its folder";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match dispatch(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            if !problem.is_empty() {
                eprintln!("\nxtask: {problem}");
            }
            ExitCode::FAILURE
        }
    }
}

fn dispatch(words: &[&str]) -> Outcome {
    match words {
        ["serve"] => site::serve(),
        ["build"] => site::build(),
        ["test", rest @ ..] => test::test(rest),
        ["claims"] => dispatch(&["claims", "all"]),
        ["claims", labs] => {
            run::run(cargo().args(["test", "--test", "it", "claims", "--", "--nocapture"]).env("HT_CLAIMS", labs))
        }
        ["real-cache"] => hosts::write_page(),
        ["look"] => site::look(),
        ["bench"] => bench::bench(None),
        ["bench", "--peers", works @ ..] => peers::bench(works),
        ["bench", folder] => bench::bench(Some(folder)),
        ["poster"] => run::run(cargo().args(["run", "--example", "headless", "--", "posters", "public/posters"])),
        // In the profile of the tests: that of a release is made for size, and thin LTO leaves the kernels' vectors undone.
        ["train", "house", seeds @ ..] => run::run(
            cargo().args(["run", "--example", "headless", "--", "train", "house", "public/models"]).args(seeds),
        ),
        ["train", "link"] => {
            run::run(cargo().args(["run", "--example", "headless", "--", "train", "link", "public/models"]))
        }
        ["text"] => text::write_prose(&root().join("target/text")),
        ["text", folder] => text::write_prose(Path::new(folder)),
        ["seal"] => site::seal_for_trunk(),
        [] | ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            Ok(())
        }
        _ => Err(format!("no command reads `{}`.\n\n{USAGE}", words.join(" "))),
    }
}

/// The repository, wherever the command was called.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}
