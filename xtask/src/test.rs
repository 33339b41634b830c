//! Runs the tests, stage by stage, and counts them.

use std::process::Command;
use std::time::Instant;

use crate::run::{Outcome, cargo, find, run, run_reading};
use crate::{hosts, setup, site};

const STAGES: [&str; 5] = ["lint", "native", "site", "web", "e2e"];

/// What was counted so far.
#[derive(Default)]
struct Tally {
    passed: usize,
    failed: usize,
    stages: Vec<(&'static str, u64, Outcome)>,
}

pub fn test(words: &[&str]) -> Outcome {
    if let ["--golden", folder] = words {
        return golden(folder);
    }
    let with_hosts = words.contains(&"--hosts");
    let stages: Vec<&str> = words.iter().copied().filter(|word| *word != "--hosts").collect();
    if let Some(unknown) = stages.iter().find(|stage| !STAGES.contains(stage)) {
        return Err(format!("there is no stage `{unknown}`: there are {}.", STAGES.join(", ")));
    }
    let wanted = |stage: &str| stages.is_empty() || stages.contains(&stage);
    let mut tally = Tally::default();
    // Ends with this function, and so not before the tests that ask it.
    let mut server = None;

    if wanted("lint") {
        tally.stage("lint", |tally| {
            tally.check(cargo().args(["fmt", "--all", "--check"]))?;
            tally.check(cargo().args(["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"]))
        });
    }
    if wanted("native") {
        tally.stage("native", |tally| {
            // Each as it is built alone: together they would agree on features that nothing else shares, and the
            // example that the browser is compared with would compile Burn once more.
            let mut tests = cargo();
            tests.args(["test", "--no-fail-fast"]);
            if with_hosts {
                let model = server.insert(tally.count(hosts::model_server())?);
                tests.env("HT_REAL_CACHE", tally.count(hosts::real_cache())?).env("HT_MODEL_SERVER", &model.address);
            }
            let labs = tally.cargo_test(&mut tests);
            labs.and(tally.cargo_test(cargo().args([
                "test",
                "--no-fail-fast",
                "--package",
                "kernels",
                "--package",
                "xtask",
            ])))
        });
    }
    // The browser tests drive the built site, so they need its stage.
    let mut built = None;
    if wanted("site") || wanted("e2e") {
        tally.stage("site", |tally| {
            let folder = tally.count(site::build_for_tests())?;
            tally.count(site::weigh(&folder))?;
            built = Some(folder);
            Ok(())
        });
    }
    if wanted("web") {
        tally.stage("web", |tally| {
            tally.count(setup::for_site())?;
            tally.count(setup::for_browser())?;
            // The features and the profile of the engine, so that what it depends on is compiled already.
            let what = ["--test", "web", "--profile", "page", "--features", "app,engine", "--target", setup::TARGET];
            let runner = ("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER", "wasm-bindgen-test-runner");
            let driver = find("chromedriver").unwrap_or_default();
            tally.cargo_test(cargo().arg("test").args(what).envs([runner]).env("CHROMEDRIVER", driver))
        });
    }
    if let (true, Some(folder)) = (wanted("e2e"), built) {
        tally.stage("e2e", |tally| {
            tally.count(setup::for_browser())?;
            let axe = tally.count(setup::axe())?;
            let mut tests = cargo();
            tests.args(["test", "--package", "e2e", "--no-fail-fast"]).env("HT_SITE", folder).env("HT_AXE", axe);
            if with_hosts {
                tally.count(setup::for_firefox())?;
                let model = server.insert(tally.count(hosts::model_server())?);
                tests.env("HT_HOSTS", "1").env("HT_MODEL_SERVER", &model.address);
            }
            tally.cargo_test(&mut tests)
        });
    }
    tally.report()
}

/// The golden tests alone, on vectors that the repository may never have seen.
fn golden(folder: &str) -> Outcome {
    let folder = std::path::absolute(folder).map_err(|error| format!("{folder}: {error}."))?;
    if !folder.is_dir() {
        return Err(format!("{} is not a folder.", folder.display()));
    }
    let mut tally = Tally::default();
    tally.stage("golden", |tally| {
        let mut tests = cargo();
        tests.args(["test", "--test", "it", "golden", "--", "--nocapture", "--test-threads", "1"]);
        tally.cargo_test(tests.env("GOLDEN_DIR", folder))
    });
    tally.report()
}

impl Tally {
    fn stage(&mut self, name: &'static str, work: impl FnOnce(&mut Self) -> Outcome) {
        println!("\n== {name}");
        let start = Instant::now();
        let outcome = work(self);
        if let Err(problem) = &outcome {
            println!("{problem}");
        }
        self.stages.push((name, start.elapsed().as_secs(), outcome));
    }

    /// A test of ours that is not a function: it passed if it did not fail.
    fn count<T>(&mut self, outcome: Outcome<T>) -> Outcome<T> {
        match outcome {
            Ok(_) => self.passed += 1,
            Err(_) => self.failed += 1,
        }
        outcome
    }

    fn check(&mut self, command: &mut Command) -> Outcome {
        let outcome = run(command);
        self.count(outcome)
    }

    /// Adds up what each test binary reports.
    fn cargo_test(&mut self, command: &mut Command) -> Outcome {
        let (passed, failed) = (self.passed, self.failed);
        let outcome = run_reading(command, |line| {
            if let Some(rest) = line.strip_prefix("test result: ") {
                self.passed += number_before(rest, " passed");
                self.failed += number_before(rest, " failed");
            }
        });
        if outcome.is_err() && self.failed == failed {
            // It did not compile, or died before it could count.
            self.failed += 1;
        } else if outcome.is_ok() && self.passed == passed {
            self.failed += 1;
            return Err("no test ran.".to_owned());
        }
        outcome
    }

    fn report(self) -> Outcome {
        println!("\n{:<8} {:>8}", "stage", "seconds");
        for (name, seconds, outcome) in &self.stages {
            println!("{name:<8} {seconds:>8}  {}", if outcome.is_ok() { "passed" } else { "FAILED" });
        }
        println!("{} passed, {} failed", self.passed, self.failed);
        // Nothing is said after the count: it is the last line, for whoever reads only that.
        if self.stages.iter().all(|(_, _, outcome)| outcome.is_ok()) { Ok(()) } else { Err(String::new()) }
    }
}

fn number_before(text: &str, word: &str) -> usize {
    let before = text.split_once(word).map_or("", |(before, _)| before);
    before.rsplit(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::number_before;

    #[test]
    fn counts_are_read_from_the_line_that_cargo_prints() {
        let line = "ok. 12 passed; 3 failed; 0 ignored; 0 measured; 1 filtered out; finished in 0.00s";
        assert_eq!((number_before(line, " passed"), number_before(line, " failed")), (12, 3));
        assert_eq!(number_before("FAILED.", " passed"), 0);
    }
}
