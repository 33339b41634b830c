//! The built site in Chromium: what a person must be able to see and do.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use e2e::{Browser, Look, Outcome, Page, STARTING, Server, Visit, end_of_run, panels, readouts, step, wait_for_step};
use serde_json::json;

/// A lab, and how it is tried.
struct Tried {
    lab: &'static str,
    page: &'static str,
    /// Under which it does not end while it is watched.
    long: &'static str,
    /// Under which it comes to rest after so many steps.
    short: (&'static str, u64),
    /// Steps after which WebGPU on the processor is compared with the CPU where heavy hosts are not wanted: as many as
    /// bring a loss on record.
    few: u64,
}

const fn tried(
    lab: &'static str,
    page: &'static str,
    long: &'static str,
    short: (&'static str, u64),
    few: u64,
) -> Tried {
    Tried { lab, page, long, short, few }
}

const LABS: [Tried; 19] = [
    tried("fourier-head-draw", "fourier-head", "steps=600", ("steps=200", 200), 4),
    tried("fourier-head", "fourier-head", "steps=600", ("steps=200", 200), 4),
    tried("fourier-head-random", "fourier-head", "steps=600", ("steps=200", 200), 4),
    tried("fourier-head-series", "fourier-head", "steps=600", ("steps=200", 200), 4),
    tried("fourier-head-own", "fourier-head", "steps=600", ("steps=200", 200), 4),
    tried("induction", "induction", "steps=600", ("steps=200", 200), 10),
    tried("induction-reduced", "induction", "time=600", ("time=200", 200), 4),
    tried("kv-cache-evict", "kv-cache", "contexts=64", ("contexts=8", 8), 2),
    tried("kv-cache-quantize", "kv-cache", "contexts=128", ("contexts=8", 8), 2),
    tried("kv-cache-both", "kv-cache", "contexts=128", ("contexts=2&map=1", 21), 2),
    tried("kv-cache-generate", "kv-cache", "length=512", ("length=60", 60), 4),
    tried("kv-cache-own", "kv-cache", "", ("", 4), 2),
    tried("kv-cache-train", "kv-cache", "steps=600", ("steps=60", 60), 2),
    tried("longheads", "longheads", "length=1024", ("length=256&written=2", 36), 4),
    tried("longheads-map", "longheads", "contexts=8", ("longest=256&contexts=1", 576), 2),
    tried("longheads-own", "longheads", "", ("", 1), 1),
    tried("link", "link", "speed=slow", ("", 20), 4),
    tried("link-world", "link", "training=100", ("trained=evaluator&training=2", 20), 2),
    // Without an address it says what to do, and waits.
    tried("link-own", "link", "", ("", 1), 1),
];

/// WebGPU on the processor compiles its shaders first, and then trains about a hundred times slower.
const SOFTWARE_GPU: Duration = Duration::from_secs(240);

#[test]
fn home_leads_to_every_lab() -> Outcome {
    let Some(visit) = Visit::start(Look::default())? else { return Ok(()) };
    let page = visit.open("")?;
    page.find("heading", "Labs")?;
    let mut led_to = Vec::new();
    for link in page.all("link")? {
        led_to.extend(link.attribute("href")?);
    }
    for Tried { lab, .. } in LABS {
        assert!(led_to.iter().any(|link| link.ends_with(&format!("?lab={lab}"))), "no card leads to {lab}: {led_to:?}");
    }
    visit.end()
}

#[test]
fn every_tab_moves() -> Outcome {
    let Some(visit) = Visit::start(Look::default())? else { return Ok(()) };
    for Tried { lab, page: of, long, short: (_, steps), .. } in LABS {
        let page = visit.open(&format!("?lab={lab}#{long}"))?;
        let first = wait_for_step(&page, 1, STARTING).map_err(|problem| format!("{lab}: {problem}"))?;
        let then = panels(&page)?;
        assert!(!then.is_empty(), "{lab} has no panel");
        let of_tab = page.find("navigation", "Labs of this page")?.text()?;
        let siblings = LABS.iter().filter(|other| other.page == of).count();
        assert_eq!(of_tab.lines().filter(|line| !line.is_empty()).count(), siblings, "{lab}: {of_tab}");
        if steps <= 5 {
            wait_for_step(&page, steps, STARTING).map_err(|problem| format!("{lab}: {problem}"))?;
            continue;
        }
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
    // Whoever paused is left at the beginning, to step from there.
    page.eventually(Duration::from_secs(10), "restart", || Ok((step(&page)? == 0).then_some(())))?;
    page.find("button", "Play")?;
    let page = visit.open("?lab=fourier-head-draw#steps=100&seed=3&speed=max")?;
    wait_for_step(&page, 100, STARTING)?;
    let look = "const line = document.querySelector('.transport .timeline input'); line.value = 1;
        line.dispatchEvent(new InputEvent('input', { bubbles: true }))";
    page.script(look, json!([]))?;
    let looks_at = |at: u64| {
        let shown = format!("Looking at step {at} of");
        page.eventually(Duration::from_secs(10), &shown, || Ok(page.text()?.contains(&shown).then_some(())))
    };
    looks_at(1)?;
    page.find("button", "One step")?.click()?;
    looks_at(2)?;
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

/// How read-outs begin that a clock has measured, and which no two runs share: a token's time, a map's.
const MEASURED: [&str; 2] = ["ms_", "map_"];

/// Every number that a page shows and that was computed: read-outs to their last bit, and the tables of its figures.
fn numbers_shown(page: &Page) -> Outcome<String> {
    let open = "for (const button of document.querySelectorAll('.panel-tools [aria-pressed=false]'))
        if (button.title === 'Show the numbers') button.click()";
    page.script(open, json!([]))?;
    std::thread::sleep(Duration::from_secs(2));
    let read = "const measured = ({ dataset }) => arguments[0].some((name) => dataset.key?.startsWith(name));
        return [...document.querySelectorAll('section.panel td')].filter((cell) => !measured(cell))
            .map((cell) => cell.dataset.value ?? cell.textContent).join(' ')";
    Ok(page.script(read, json!([MEASURED]))?.as_str().unwrap_or_default().to_owned())
}

#[test]
fn firefox_shows_the_numbers_that_chromium_shows() -> Outcome {
    if !e2e::with_hosts() {
        eprintln!("skipped: `cargo xtask test --hosts` installs Firefox and runs this");
        return Ok(());
    }
    let Some(site) = e2e::built_site() else { return Ok(()) };
    let server = Server::start(&site)?;
    let (chromium, firefox) = (Browser::start(Look::default())?, Browser::firefox()?);
    for Tried { lab, short: (short, steps), .. } in LABS {
        let mut shown = Vec::new();
        for page in [chromium.page(), firefox.page()] {
            // Short runs: what differs in one bit differs in all digits later.
            page.open(&server.address(&format!("?lab={lab}#engine=cpu&seed=4&{short}")))?;
            end_of_run(&page, steps)?;
            shown.push(numbers_shown(&page)?);
        }
        // Without an address there is one question, and nothing else to show.
        let least = if lab == "link-own" { 100 } else { 200 };
        assert!(shown[0].len() > least, "{lab}: {}", shown[0]);
        assert_eq!(shown[0], shown[1], "{lab}");
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
    // The count is drawn before the figures.
    std::thread::sleep(Duration::from_millis(500));
    readouts(page)
}

fn compare(lab: &str, got: &BTreeMap<String, f64>, want: &BTreeMap<String, f64>, relative: f64) {
    assert!(got.keys().eq(want.keys()), "{lab}: {got:?} and {want:?}");
    let counted = |key: &&String| !MEASURED.iter().any(|name| key.starts_with(name));
    for (key, want) in want.iter().filter(|(key, _)| counted(key)) {
        let apart = (got[key] - want).abs();
        assert!(apart <= relative * want.abs().max(0.01), "{lab}: {key}: {} and {want}", got[key]);
    }
}

/// The same lab in the terminal, where the numbers must be the same but for fused multiply-adds and the last bits of
/// the exponential.
fn native_readouts(lab: &str, steps: u64) -> Outcome<BTreeMap<String, f64>> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let folder = std::env::temp_dir().join(format!("heads-and-tails-{}-{lab}", std::process::id()));
    let run = Command::new(env!("CARGO"))
        .current_dir(root)
        .args(["run", "--quiet", "--example", "headless", "--", lab, "", "--steps", &steps.to_string(), "--out"])
        .arg(&folder)
        .output()
        .map_err(|error| format!("the lab in the terminal: {error}"))?;
    let said = String::from_utf8_lossy(&run.stderr);
    let failed = |error: std::io::Error| format!("{lab}: {error}: {said}");
    let mut numbers = BTreeMap::new();
    for file in std::fs::read_dir(&folder).map_err(failed)? {
        let text = std::fs::read(file.map_err(failed)?.path()).map_err(failed)?;
        let text = String::from_utf8_lossy(&text);
        // Other panels are tables too.
        let Some(lines) = text.strip_prefix("key,of,") else { continue };
        // The key comes first and the value last; names between them may hold commas.
        let line = |line: &str| Some((line.split_once(',')?.0.to_owned(), line.rsplit_once(',')?.1.parse().ok()?));
        numbers.extend(lines.lines().skip(1).filter_map(line));
    }
    Ok(numbers)
}

#[test]
fn the_browser_computes_what_the_terminal_does() -> Outcome {
    let Some(visit) = Visit::start(Look::default())? else { return Ok(()) };
    for Tried { lab, short: (_, most), .. } in LABS {
        let steps = COMPARED.min(most);
        let page = visit.open(&format!("?lab={lab}&start=paused#engine=cpu"))?;
        compare(lab, &readouts_after(&page, steps, STARTING)?, &native_readouts(lab, steps)?, 1e-4);
    }
    visit.end()
}

#[test]
fn only_the_relaxed_engine_is_relaxed() -> Outcome {
    let Some(site) = e2e::built_site() else { return Ok(()) };
    // How a module spells a relaxed product with a sum.
    let relaxed = |engine: &str| -> Outcome<bool> {
        let file = site.join(format!("{engine}-engine_bg.wasm"));
        let bytes = std::fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        Ok(bytes.windows(3).any(|three| three == [0xfd, 0x85, 0x02]))
    };
    assert!(relaxed("cpu-relaxed")? && !relaxed("cpu")?);
    Ok(())
}

#[test]
fn relaxed_simd_computes_nearly_what_the_cpu_does() -> Outcome {
    let Some(visit) = Visit::start(Look::default())? else { return Ok(()) };
    for lab in ["fourier-head", "induction"] {
        // At its last step a lab measures everything anew.
        let page = visit.open(&format!("?lab={lab}&start=paused#engine=cpu&steps={COMPARED}"))?;
        let plain = readouts_after(&page, COMPARED, STARTING)?;
        let page = visit.open(&format!("?lab={lab}&start=paused#engine=cpu-relaxed&steps={COMPARED}"))?;
        let relaxed = readouts_after(&page, COMPARED, STARTING)?;
        let facts = page.script("return document.querySelector('.engine').textContent", json!([]))?;
        let facts = facts.as_str().unwrap_or_default();
        assert!(facts.contains("CPU, relaxed SIMD"), "{lab}: {facts}");
        compare(lab, &relaxed, &plain, 1e-3);
    }
    visit.end()
}

#[test]
fn webgpu_computes_what_the_cpu_does() -> Outcome {
    let Some(visit) = Visit::start(Look { webgpu: true, ..Look::default() })? else { return Ok(()) };
    for Tried { lab, short: (_, most), few, .. } in LABS {
        let steps = if e2e::with_hosts() { COMPARED.min(most) } else { few };
        let page = visit.open(&format!("?lab={lab}&start=paused#engine=cpu"))?;
        let cpu = readouts_after(&page, steps, STARTING)?;
        let page = visit.open(&format!("?lab={lab}&start=paused#engine=gpu"))?;
        let gpu = readouts_after(&page, steps, SOFTWARE_GPU)?;
        let facts = page.script("return document.querySelector('.engine').textContent", json!([]))?;
        let facts = facts.as_str().unwrap_or_default();
        assert!(facts.contains("WebGPU, ") && facts.contains("none of its operations"), "{lab}: {facts}");
        // A gradient that is wrong in one tensor alone moves a read-out by less than a thousandth in so few steps.
        compare(lab, &gpu, &cpu, 1e-4);
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
