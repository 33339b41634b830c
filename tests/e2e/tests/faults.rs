//! What breaks, the sentence that the reader gets, and how the run goes on. `fault=` in the address provokes it.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use e2e::{Look, Outcome, Page, STARTING, Visit, end_of_run, panels, readouts, step, wait_for_step};
use serde_json::json;

/// Sixty steps a second, so that the page has been sent a state, one every two seconds, before step 150.
const SETTING: &str = "#steps=260&speed=1&seed=5&engine=cpu";
const STEPS: u64 = 260;
const BREAKS_AT: u64 = 150;

/// WebGPU on the processor compiles its shaders first, and then trains about a hundred times slower.
const SOFTWARE_GPU: Duration = Duration::from_secs(400);

fn link(fault: &str) -> String {
    format!("?lab=fourier-head-draw&fault={fault}{SETTING}")
}

/// What the alert says, or nothing where there is none.
fn alert(page: &Page) -> Outcome<String> {
    let said = page.script("return document.querySelector('[role=alert]')?.innerText ?? ''", json!([]))?;
    Ok(said.as_str().unwrap_or_default().to_owned())
}

/// The alert, as soon as it says this.
fn told(page: &Page, words: &str, patience: Duration) -> Outcome<String> {
    let found = page.eventually(patience, &format!("alert that says “{words}”"), || {
        Ok(Some(alert(page)?).filter(|said| said.contains(words)))
    });
    found.map_err(|problem| format!("{problem} The page says: {}", page.text().unwrap_or_default()))
}

/// A sentence about a broken run says where it was, and that nothing of the reader's is lost.
fn names_step_and_what_is_kept(said: &str) {
    let step = said.split_once("step ").map_or("", |(_, rest)| rest);
    let step: u64 = step.split(|c: char| !c.is_ascii_digit()).next().and_then(|step| step.parse().ok()).unwrap_or(0);
    // The page knows the last step that it has drawn; the engine may be some further.
    assert!((BREAKS_AT - 20..=BREAKS_AT).contains(&step), "the step is not named: {said}");
    assert!(said.contains("our settings are kept"), "nothing says that settings are kept: {said}");
}

/// The last figures stay while the reader decides: those of an undisturbed run, each with something in it.
fn is_still_drawn(page: &Page, undisturbed: &[(String, String)]) -> Outcome {
    let now = panels(page)?;
    let names = |panels: &[(String, String)]| panels.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&now), names(undisturbed));
    for (name, drawn) in now {
        assert!(drawn.contains("<path") || drawn.contains("<polyline") || drawn.contains("<td"), "{name} is empty");
    }
    Ok(())
}

/// From now on the page keeps the smallest step that it shows: a run that goes on never shows its start again.
fn watch_steps(page: &Page) -> Outcome {
    let watch = "window.least = Infinity; const count = document.getElementById('count');
        new MutationObserver(() => { window.least = Math.min(window.least, Number(count.textContent)); })
            .observe(count, { characterData: true, childList: true, subtree: true });";
    page.script(watch, json!([])).map(drop)
}

fn least_step(page: &Page) -> Outcome<u64> {
    Ok(page.script("return window.least", json!([]))?.as_f64().unwrap_or(f64::NAN) as u64)
}

#[test]
fn a_dead_engine_goes_on_from_its_last_state_bit_by_bit() -> Outcome {
    let Some(visit) = Visit::start(Look::default())? else { return Ok(()) };
    let undisturbed = end_of_run(&visit.open(&link("none"))?, STEPS)?;
    for (fault, words) in [
        ("panic:150", "it was asked to fail at step 150"),
        ("memory:150", "it used more memory than this tab may have"),
    ] {
        let page = visit.open(&link(fault))?;
        let said = told(&page, words, STARTING)?;
        names_step_and_what_is_kept(&said);
        is_still_drawn(&page, &undisturbed)?;
        let button = page.find_prefix("button", "Go on from step")?;
        let from: u64 = button.name.rsplit(' ').next().and_then(|step| step.parse().ok()).unwrap_or(0);
        assert!((1..=BREAKS_AT).contains(&from), "{fault}: {}", button.name);
        watch_steps(&page)?;
        button.click()?;
        // A hundred steps and more past that state, every figure is that of a run in which nothing broke.
        assert_eq!(end_of_run(&page, STEPS)?, undisturbed, "{fault}");
        assert_eq!(least_step(&page)?, from, "{fault}: it did not go on from there");
        assert_eq!(alert(&page)?, "", "{fault}: the sentence stays");
    }
    visit.end()
}

#[test]
fn a_device_that_fails_is_told_with_its_step_and_offers_another_start() -> Outcome {
    let Some(visit) = Visit::start(Look::default())? else { return Ok(()) };
    let page = visit.open(&link("device:150"))?;
    names_step_and_what_is_kept(&told(&page, "The device failed", STARTING)?);
    assert!(step(&page)? > 100, "the last step is not shown any more");
    page.find("button", "Start again")?.click()?;
    page.eventually(STARTING, "new run", || Ok((step(&page)? < 100).then_some(())))?;
    wait_for_step(&page, BREAKS_AT + 20, STARTING)?;
    visit.end()
}

#[test]
fn a_run_that_runs_away_offers_a_smaller_step() -> Outcome {
    let Some(visit) = Visit::start(Look::default())? else { return Ok(()) };
    let page = visit.open(&link("diverge:150"))?;
    names_step_and_what_is_kept(&told(&page, "The run broke off at step 150", STARTING)?);
    page.find("button", "Lower the learning rate to 0.003")?.click()?;
    page.eventually(STARTING, "smaller step", || Ok(page.address()?.contains("learning_rate=0.003").then_some(())))?;
    page.eventually(STARTING, "new run", || Ok((step(&page)? < 100).then_some(())))?;
    wait_for_step(&page, BREAKS_AT + 20, STARTING)?;
    visit.end()
}

#[test]
fn an_engine_that_does_not_come_is_named() -> Outcome {
    let Some(visit) = Visit::start(Look::default())? else { return Ok(()) };
    let page = visit.open(&link("load"))?;
    let said = told(&page, "The engine could not be loaded", STARTING)?;
    assert!(said.contains("missing-engine.js (404)") && said.contains("our settings are kept"), "{said}");
    page.find("button", "Start again")?.click()?;
    wait_for_step(&page, 5, STARTING)?;
    let complaints = visit.browser.page().console_errors()?;
    assert!(complaints.iter().all(|complaint| complaint.contains("missing-engine.js")), "{complaints:#?}");
    visit.end()
}

#[test]
fn an_engine_of_another_version_is_loaded_again_once() -> Outcome {
    let Some(visit) = Visit::start(Look::default())? else { return Ok(()) };
    let page = visit.open(&link("version"))?;
    let how = "return performance.getEntriesByType('navigation')[0].type";
    page.eventually(STARTING, "second load", || Ok((page.script(how, json!([]))? == json!("reload")).then_some(())))?;
    wait_for_step(&page, 5, STARTING)?;
    let page = visit.open(&link("version").replace('#', "&v=1#"))?;
    told(&page, "another version than this page", STARTING)?;
    assert_eq!(page.script(how, json!([]))?, json!("navigate"), "it was loaded again by itself");
    page.find("button", "Load the page again")?.click()?;
    page.eventually(STARTING, "second load", || Ok((page.script(how, json!([]))? == json!("reload")).then_some(())))?;
    wait_for_step(&page, 5, STARTING)?;
    assert!(page.address()?.contains("seed=5"), "the settings are lost: {}", page.address()?);
    visit.end()
}

#[test]
fn a_lost_device_leaves_the_run_to_the_cpu() -> Outcome {
    let Some(visit) = Visit::start(Look { webgpu: true, ..Look::default() })? else { return Ok(()) };
    let (breaks_at, steps) = if e2e::with_hosts() { (110, 170) } else { (12, 72) };
    let setting = |engine: &str, fault: &str| {
        format!("?lab=fourier-head-draw&fault={fault}#steps={steps}&speed=max&seed=5&engine={engine}")
    };
    let page = visit.open(&setting("cpu", "none"))?;
    end_of_run(&page, steps)?;
    let undisturbed = readouts(&page)?;
    let page = visit.open(&setting("gpu", &format!("device:{breaks_at}")))?;
    told(&page, "The device failed", SOFTWARE_GPU)?;
    assert!(step(&page)? >= breaks_at - 10, "it broke before it had run");
    watch_steps(&page)?;
    page.find("button", "Go on with the CPU engine")?.click()?;
    end_of_run(&page, steps)?;
    assert!(least_step(&page)? > 0, "what the device had done is lost");
    let after = readouts(&page)?;
    assert!(after.keys().eq(undisturbed.keys()), "{after:?} and {undisturbed:?}");
    for (key, want) in &undisturbed {
        let apart = (after[key] - want).abs();
        assert!(apart <= 1e-3 * want.abs().max(0.1), "{key}: {} and {want}", after[key]);
    }
    visit.end()
}

#[test]
fn a_link_is_mended_and_the_mend_is_said() -> Outcome {
    let Some(visit) = Visit::start(Look::default())? else { return Ok(()) };
    let page = visit.open(
        "?lab=fourier-head-draw&theme=mauve#frequencies=9999&learning_rate=NaN&draws=-5&nonsense=1&speed=later&guess=x&seed=10000\
         &hide=zzz,prose&lock=yyy",
    )?;
    wait_for_step(&page, 3, STARTING)?;
    // Beside the control, with the value that is used in it.
    for (key, note, used) in [
        ("frequencies", "Most is 63; 63 is used.", "63"),
        ("learning_rate", "“NaN” is not a number; 0.01 is used.", "0.01"),
        ("draws", "Least is 0; 0 is used.", "0"),
    ] {
        let read = "const field = document.getElementById('param-' + arguments[0]);
            return [field.closest('.field').querySelector('[role=note]')?.innerText ?? '', field.value]";
        let found = page.script(read, json!([key]))?;
        assert_eq!(found[0], json!(note), "{key}");
        assert!([used, "all"].iter().any(|used| found[1] == json!(used)), "{key}: {found}");
    }
    // What has no control is told above the figures.
    let status = "return [...document.querySelectorAll('[role=status]')].map((status) => status.innerText).join(' ')";
    let said = page.script(status, json!([]))?.as_str().unwrap_or_default().to_owned();
    for words in ["“nonsense”", "“mauve”", "“later”", "guess", "Seed: Most is 9999", "“zzz”", "“yyy”"]
    {
        assert!(said.contains(words), "{words} is not said: {said}");
    }
    let page = visit.open("?lab=fourier-head-draw&start=paused#guess=ghost:0,1;1,1")?;
    let words = "“ghost” in “guess” is no figure of this lab";
    page.eventually(STARTING, words, || Ok(page.text()?.contains(words).then_some(())))?;
    let page = visit.open("?lab=no-such-lab")?;
    told(&page, "There is no lab “no-such-lab”", STARTING)?;
    page.find_prefix("link", "Draw a distribution")?;
    visit.end()
}

/// Files for the lab of the reader's own numbers, in a folder that goes when the test does.
struct Tables(PathBuf);

impl Tables {
    fn new(name: &str) -> Outcome<Self> {
        let folder = std::env::temp_dir().join(format!("heads-and-tails-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        Ok(Self(folder))
    }

    fn choose(&self, page: &Page, name: &str, bytes: &[u8]) -> Outcome {
        let file = self.0.join(name);
        fs::write(&file, bytes).map_err(|error| format!("{}: {error}", file.display()))?;
        page.choose_file("param-file", &file)
    }
}

impl Drop for Tables {
    fn drop(&mut self) {
        let _removed = fs::remove_dir_all(&self.0);
    }
}

/// Forty numbers of which something can be learned.
fn usable() -> String {
    (0..40).map(|row| format!("{}\n", row * 7 % 40)).collect()
}

/// A run on this table, without a word of complaint.
fn runs_on(page: &Page, source: &str) -> Outcome {
    let ran = page.eventually(STARTING, &format!("run on “{source}”"), || {
        let there = page.text()?.contains(&format!("{source}: 40 rows"));
        Ok((there && step(page)? >= 5 && alert(page)?.is_empty()).then_some(()))
    });
    ran.map_err(|problem| format!("{problem} The page says: {}", page.text().unwrap_or_default()))
}

#[test]
fn a_table_that_cannot_be_used_is_refused_in_words() -> Outcome {
    let Some(visit) = Visit::start(Look::default())? else { return Ok(()) };
    let folder = Tables::new("tables")?;
    let page = visit.open("?lab=fourier-head-own#steps=10000")?;
    wait_for_step(&page, 1, STARTING)?;
    // Numbers that are pasted, first: a file would go before them.
    let pasted = page.find_prefix("textbox", "Or paste numbers")?;
    pasted.write("neither, one\nnor, the other\n")?;
    page.press(&["Tab"])?;
    told(&page, "No column of the table is mostly numbers.", STARTING)?;
    page.find_prefix("button", "clear Or paste numbers")?.click()?;
    pasted.write(&usable())?;
    page.press(&["Tab"])?;
    runs_on(&page, "Pasted numbers")?;

    let binary: Vec<u8> = (0..4000_u32).map(|byte| (byte.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let tables: [(&str, &[u8], &str); 4] = [
        ("empty.csv", b"", "The file is empty."),
        ("binary.csv", &binary, "The file is not text."),
        ("text.csv", b"name,place\nAda,London\nEmmy,Erlangen\n", "No column of the table is mostly numbers."),
        ("constant.csv", &b"5\n".repeat(200), "Every value of “column 1” is 5; there is nothing to learn."),
    ];
    for (number, (name, bytes, words)) in tables.into_iter().enumerate() {
        folder.choose(&page, name, bytes)?;
        told(&page, words, STARTING)?;
        let good = format!("good-{number}.csv");
        folder.choose(&page, &good, usable().as_bytes())?;
        runs_on(&page, &good)?;
    }

    // One that is too large is not even read, and the run beside it goes on.
    folder.choose(&page, "large.csv", &b"1,2\n".repeat(1_400_000))?;
    page.eventually(STARTING, "sentence about the size", || {
        Ok(page.text()?.contains("“large.csv” is too large; 5 MB is the most.").then_some(()))
    })?;
    let before = step(&page)?;
    wait_for_step(&page, before + 5, STARTING)?;
    assert_eq!(alert(&page)?, "");
    visit.end()
}

/// A file outlives the lab that it was given to, and a bad one is cleared by a button.
#[test]
fn a_file_stays_while_the_page_does() -> Outcome {
    let Some(visit) = Visit::start(Look::default())? else { return Ok(()) };
    let folder = Tables::new("kept")?;
    let page = visit.open("?lab=fourier-head-own#steps=10000")?;
    wait_for_step(&page, 1, STARTING)?;
    folder.choose(&page, "kept.csv", usable().as_bytes())?;
    runs_on(&page, "kept.csv")?;
    page.find("link", "Draw a distribution")?.click()?;
    page.eventually(STARTING, "other lab", || Ok(page.address()?.contains("lab=fourier-head-draw").then_some(())))?;
    page.script("history.back()", json!([]))?;
    runs_on(&page, "kept.csv")?;
    folder.choose(&page, "bad.csv", b"name,place\nAda,London\n")?;
    told(&page, "The figures are still those of the setting before.", STARTING)?;
    page.find_prefix("button", "Choose another file")?;
    page.find_prefix("button", "Clear “Your file”")?.click()?;
    page.eventually(STARTING, "run without a file", || {
        Ok((alert(&page)?.is_empty() && !page.address()?.contains("bad.csv") && step(&page)? >= 1).then_some(()))
    })?;
    visit.end()
}

#[test]
fn a_table_that_was_mended_is_read_under_its_old_name() -> Outcome {
    let Some(visit) = Visit::start(Look::default())? else { return Ok(()) };
    let folder = Tables::new("mended")?;
    let page = visit.open("?lab=fourier-head-own#steps=10000")?;
    wait_for_step(&page, 1, STARTING)?;
    folder.choose(&page, "table.csv", b"name,place\nAda,London\n")?;
    told(&page, "No column of the table is mostly numbers.", STARTING)?;
    folder.choose(&page, "table.csv", usable().as_bytes())?;
    runs_on(&page, "table.csv")?;
    visit.end()
}
