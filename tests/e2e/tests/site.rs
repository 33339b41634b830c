//! The built site in Chromium: what a person must be able to see and do.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use e2e::{Browser, Look, Outcome, Page, Server};
use serde_json::json;

const LABS: [&str; 5] =
    ["fourier-head-draw", "fourier-head", "fourier-head-random", "fourier-head-series", "fourier-head-own"];

/// An engine must load, compile and start before the first figure; on a busy machine that takes its time.
const STARTING: Duration = Duration::from_secs(60);
/// WebGPU on the processor compiles its shaders first, and then trains about a hundred times slower.
const SOFTWARE_GPU: Duration = Duration::from_secs(240);

/// A site, a browser, and the promise that every page in it must keep.
struct Visit {
    server: Server,
    browser: Browser,
}

impl Visit {
    /// Nothing where no site was built.
    fn start(look: Look) -> Outcome<Option<Self>> {
        let Some(site) = e2e::built_site() else { return Ok(None) };
        Ok(Some(Self { server: Server::start(&site)?, browser: Browser::start(look)? }))
    }

    fn open(&self, address: &str) -> Outcome<Page<'_>> {
        let page = self.browser.page();
        page.open(&self.server.address(address))?;
        Ok(page)
    }

    /// No complaint in the console, and no request to anyone else, from the page or its workers.
    fn end(self) -> Outcome {
        let errors = self.browser.page().console_errors()?;
        assert!(errors.is_empty(), "the console complains: {errors:#?}");
        let asked = self.browser.close()?;
        assert!(asked.len() > 3, "the network record holds too little to mean anything: {asked:?}");
        let elsewhere: Vec<_> = asked.iter().filter(|address| !address.starts_with(self.server.origin())).collect();
        assert!(elsewhere.is_empty(), "other origins were asked: {elsewhere:?}");
        Ok(())
    }
}

/// The step that the page shows.
fn step(page: &Page) -> Outcome<u64> {
    let shown = page.script("return document.getElementById('count')?.textContent ?? ''", json!([]))?;
    Ok(shown.as_str().and_then(|text| text.trim().parse().ok()).unwrap_or(0))
}

fn wait_for_step(page: &Page, least: u64, patience: Duration) -> Outcome<u64> {
    let found =
        page.eventually(patience, &format!("step {least}"), || Ok(Some(step(page)?).filter(|step| *step >= least)));
    found.map_err(|problem| format!("{problem} The page says: {}", page.text().unwrap_or_default()))
}

/// Each panel by its name, with all that is drawn and written in it.
fn panels(page: &Page) -> Outcome<Vec<(String, String)>> {
    // By script in one go: a run would go on between two questions.
    let read = "return [...document.querySelectorAll('section.panel')]
        .map((panel) => [panel.querySelector('h2')?.textContent ?? '', panel.innerHTML])";
    let found = page.script(read, json!([]))?;
    let pairs = found.as_array().into_iter().flatten();
    Ok(pairs
        .map(|pair| (pair[0].as_str().unwrap_or_default().to_owned(), pair[1].as_str().unwrap_or_default().to_owned()))
        .collect())
}

/// What a run shows when it has come to its end.
fn end_of_run(page: &Page, steps: u64) -> Outcome<Vec<(String, String)>> {
    wait_for_step(page, steps, STARTING)?;
    // The last frame is always shown, but its panels may be drawn after the count.
    let mut before = panels(page)?;
    page.eventually(Duration::from_secs(10), "rest", || {
        let now = panels(page)?;
        let rests = now == before;
        before = now;
        Ok(rests.then_some(()))
    })?;
    Ok(before)
}

#[test]
fn home_leads_to_every_lab() -> Outcome {
    let Some(visit) = Visit::start(Look::default())? else { return Ok(()) };
    let page = visit.open("")?;
    page.find_prefix("heading", "The mechanisms")?;
    let mut led_to = Vec::new();
    for link in page.all("link")? {
        led_to.extend(link.attribute("href")?);
    }
    for lab in LABS {
        assert!(led_to.iter().any(|link| link.ends_with(&format!("?lab={lab}"))), "no card leads to {lab}: {led_to:?}");
    }
    visit.end()
}

#[test]
fn every_tab_moves() -> Outcome {
    let Some(visit) = Visit::start(Look::default())? else { return Ok(()) };
    for lab in LABS {
        let page = visit.open(&format!("?lab={lab}"))?;
        let first = wait_for_step(&page, 1, STARTING).map_err(|problem| format!("{lab}: {problem}"))?;
        let then = panels(&page)?;
        assert!(!then.is_empty(), "{lab} has no panel");
        let of_tab = page.find("navigation", "Labs of this paper")?.text()?;
        assert_eq!(of_tab.lines().filter(|line| !line.is_empty()).count(), LABS.len(), "{lab}: {of_tab}");
        wait_for_step(&page, first + 5, STARTING).map_err(|problem| format!("{lab}: {problem}"))?;
        page.eventually(STARTING, &format!("figure of {lab} that moves"), || {
            Ok((panels(&page)? != then).then_some(()))
        })?;
        let unnamed = page.all("image")?.into_iter().filter(|image| image.name.trim().is_empty()).count();
        assert_eq!(unnamed, 0, "{lab}: figures without a summary");
    }
    visit.end()
}

#[test]
fn pause_step_and_restart_do_what_they_say() -> Outcome {
    let Some(visit) = Visit::start(Look::default())? else { return Ok(()) };
    let page = visit.open("?lab=fourier-head-draw#steps=5000&seed=3")?;
    wait_for_step(&page, 5, STARTING)?;
    page.find("button", "Pause")?.click()?;
    page.find("button", "Play")?;
    let mut at = step(&page)?;
    page.eventually(Duration::from_secs(10), "rest", || {
        let now = step(&page)?;
        let rests = now == at;
        at = now;
        std::thread::sleep(Duration::from_millis(300));
        Ok(rests.then_some(()))
    })?;
    page.find("button", "One step")?.click()?;
    page.eventually(Duration::from_secs(10), "single step", || Ok((step(&page)? == at + 1).then_some(())))?;
    page.find("button", "Restart")?.click()?;
    page.eventually(Duration::from_secs(10), "restart", || Ok((step(&page)? < at).then_some(())))?;
    visit.end()
}

#[test]
fn a_link_in_a_fresh_browser_gives_the_same_run() -> Outcome {
    let run = |link: &str| -> Outcome<Option<(Vec<(String, String)>, String)>> {
        let Some(visit) = Visit::start(Look::default())? else { return Ok(None) };
        let page = visit.open(link)?;
        let shown = end_of_run(&page, 150)?;
        let address = page.address()?;
        let link = address.split_once('?').map(|(_, rest)| format!("?{rest}")).unwrap_or_default();
        visit.end()?;
        Ok(Some((shown, link)))
    };
    for link in [
        "?lab=fourier-head-draw#steps=150&seed=5&frequencies=9&engine=cpu",
        "?lab=fourier-head#steps=150&seed=5&engine=cpu",
    ] {
        let Some((first, address)) = run(link)? else { return Ok(()) };
        // The address that the page itself shows, which names every parameter.
        assert!(address.contains("seed=5"), "{address}");
        let Some((again, _)) = run(&address)? else { return Ok(()) };
        assert_eq!(first.len(), again.len());
        for (one, other) in first.iter().zip(&again) {
            assert_eq!(one, other, "{address}");
        }
    }
    Ok(())
}

/// Steps over which engines are compared: far enough for every operation and its backward pass to matter, and not so
/// far that last bits do.
const COMPARED: u64 = 20;

/// The exact read-outs of a lab after some single steps from a paused start.
fn readouts_after(page: &Page, steps: u64, patience: Duration) -> Outcome<BTreeMap<String, f64>> {
    page.eventually(patience, "first frame", || Ok((!panels(page)?.is_empty()).then_some(())))?;
    let button = page.find("button", "One step")?;
    for done in 1..=steps {
        button.click()?;
        page.eventually(patience, &format!("step {done}"), || Ok((step(page)? == done).then_some(())))?;
    }
    let read = "return Object.fromEntries([...document.querySelectorAll('td[data-key]')]
        .filter((cell) => cell.dataset.value).map((cell) => [cell.dataset.key, Number(cell.dataset.value)]))";
    // The count is drawn before the figures.
    std::thread::sleep(Duration::from_millis(500));
    let found = page.script(read, json!([]))?;
    let numbers = found.as_object().into_iter().flatten();
    let numbers: BTreeMap<String, f64> =
        numbers.filter_map(|(key, value)| Some((key.clone(), value.as_f64()?))).collect();
    if numbers.is_empty() { Err("no read-outs on the page".to_owned()) } else { Ok(numbers) }
}

fn compare(lab: &str, got: &BTreeMap<String, f64>, want: &BTreeMap<String, f64>, relative: f64) {
    assert!(got.keys().eq(want.keys()), "{lab}: {got:?} and {want:?}");
    for (key, want) in want {
        let apart = (got[key] - want).abs();
        assert!(apart <= relative * want.abs().max(0.01), "{lab}: {key}: {} and {want}", got[key]);
    }
}

/// The same lab in the terminal, where the numbers must be the same but for fused multiply-adds and the last bits of
/// the exponential.
fn native_readouts(lab: &str) -> Outcome<BTreeMap<String, f64>> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let folder = std::env::temp_dir().join(format!("heads-and-tails-{}-{lab}", std::process::id()));
    let run = Command::new(env!("CARGO"))
        .current_dir(root)
        .args(["run", "--quiet", "--example", "headless", "--", lab, "", "--steps", &COMPARED.to_string(), "--out"])
        .arg(&folder)
        .output()
        .map_err(|error| format!("the lab in the terminal: {error}"))?;
    let said = String::from_utf8_lossy(&run.stderr);
    let text =
        std::fs::read_to_string(folder.join("readouts.csv")).map_err(|error| format!("{lab}: {error}: {said}"))?;
    // The key comes first and the value last; names between them may hold commas.
    let line = |line: &str| Some((line.split_once(',')?.0.to_owned(), line.rsplit_once(',')?.1.parse().ok()?));
    Ok(text.lines().filter_map(line).collect())
}

#[test]
fn the_browser_computes_what_the_terminal_does() -> Outcome {
    let Some(visit) = Visit::start(Look::default())? else { return Ok(()) };
    for lab in LABS {
        let page = visit.open(&format!("?lab={lab}&start=paused#engine=cpu"))?;
        compare(lab, &readouts_after(&page, COMPARED, STARTING)?, &native_readouts(lab)?, 1e-4);
    }
    visit.end()
}

#[test]
fn webgpu_computes_what_the_cpu_does() -> Outcome {
    let Some(visit) = Visit::start(Look { webgpu: true, ..Look::default() })? else { return Ok(()) };
    for lab in LABS {
        let page = visit.open(&format!("?lab={lab}&start=paused#engine=cpu"))?;
        let cpu = readouts_after(&page, COMPARED, STARTING)?;
        let page = visit.open(&format!("?lab={lab}&start=paused#engine=gpu"))?;
        let gpu = readouts_after(&page, COMPARED, SOFTWARE_GPU)?;
        let facts = page.script("return document.querySelector('.engine').textContent", json!([]))?;
        let facts = facts.as_str().unwrap_or_default();
        assert!(facts.contains("WebGPU, ") && facts.contains("none of its operations"), "{lab}: {facts}");
        compare(lab, &gpu, &cpu, 1e-3);
    }
    visit.end()
}

#[test]
fn without_webgpu_the_cpu_takes_over_and_says_so() -> Outcome {
    let Some(visit) = Visit::start(Look::default())? else { return Ok(()) };
    let page = visit.open("?lab=fourier-head-draw#engine=gpu")?;
    wait_for_step(&page, 1, STARTING)?;
    let text = page.text()?;
    assert!(text.contains("WebGPU") && text.contains("CPU"), "nothing says what happened: {text}");
    visit.end()
}

#[test]
fn a_site_with_a_file_missing_says_which() -> Outcome {
    let Some(site) = e2e::built_site() else { return Ok(()) };
    let browser = Browser::start(Look::default())?;
    let page = browser.page();
    for lost in ["_bg.wasm", "app-"] {
        let server = Server::start_without(&site, lost)?;
        page.open(&server.address(""))?;
        let alert = page.find("alert", "")?;
        page.eventually(STARTING, "sentence about the missing file", || {
            let text = alert.text()?;
            Ok((text.contains("could not start") && text.contains("404")).then_some(()))
        })?;
    }
    Ok(())
}
