//! What breaks, the sentence that the reader gets, and how the run goes on. `fault=` in the address provokes it.

use std::time::Duration;

use e2e::{Look, Outcome, Page, STARTING, Visit, end_of_run, panels, step, wait_for_step};
use serde_json::json;

/// Sixty steps a second, so that a state is two seconds old at most when something breaks after step 100.
const SETTING: &str = "#steps=260&speed=1&seed=5&engine=cpu";
const STEPS: u64 = 260;

fn link(fault: &str) -> String {
    format!("?lab=fourier-head-draw&fault={fault}{SETTING}")
}

/// The alert, as soon as it says this.
fn told(page: &Page, words: &str) -> Outcome<String> {
    page.eventually(STARTING, &format!("alert that says “{words}”"), || {
        let said = page.script("return document.querySelector('[role=alert]')?.innerText ?? ''", json!([]))?;
        Ok(said.as_str().filter(|said| said.contains(words)).map(str::to_owned))
    })
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
        let said = told(&page, words)?;
        assert!(said.contains("your settings are kept"), "{said}");
        assert!(!panels(&page)?.is_empty(), "{fault}: what was drawn is gone");
        let button = page.find_prefix("button", "Go on from step")?;
        let from: u64 = button.name.rsplit(' ').next().and_then(|step| step.parse().ok()).unwrap_or(0);
        // A slow machine is at an earlier step when its first state is two seconds old.
        assert!((1..=150).contains(&from), "{fault}: {}", button.name);
        button.click()?;
        // More than fifty steps past the state, and every figure is that of a run in which nothing broke.
        assert_eq!(end_of_run(&page, STEPS)?, undisturbed, "{fault}");
    }
    // The console tells whoever mends it what happened; a reader's page does not count that as its own complaint.
    visit.browser.page().console_errors()?;
    visit.end()
}

#[test]
fn a_run_that_runs_away_offers_a_smaller_step() -> Outcome {
    let Some(visit) = Visit::start(Look::default())? else { return Ok(()) };
    let page = visit.open(&link("diverge:150"))?;
    told(&page, "The fit ran away at step 150")?;
    page.find("button", "Lower the learning rate to 0.003")?.click()?;
    page.eventually(STARTING, "smaller step", || Ok(page.address()?.contains("learning_rate=0.003").then_some(())))?;
    page.eventually(STARTING, "new run", || Ok((step(&page)? < 149).then_some(())))?;
    wait_for_step(&page, 200, STARTING)?;
    visit.end()
}

#[test]
fn an_engine_that_does_not_come_is_named() -> Outcome {
    let Some(visit) = Visit::start(Look::default())? else { return Ok(()) };
    let page = visit.open(&link("load"))?;
    let said = told(&page, "The engine could not be loaded")?;
    assert!(said.contains("missing-engine.js (404)"), "{said}");
    page.find("button", "Start again")?.click()?;
    wait_for_step(&page, 5, STARTING)?;
    // The browser itself complains of the missing file.
    visit.browser.page().console_errors()?;
    visit.end()
}

#[test]
fn an_engine_of_another_version_is_loaded_again_once() -> Outcome {
    let Some(visit) = Visit::start(Look::default())? else { return Ok(()) };
    let page = visit.open(&link("version"))?;
    wait_for_step(&page, 5, STARTING)?;
    let page = visit.open(&link("version").replace('#', "&v=1#"))?;
    told(&page, "another version than this page")?;
    page.find("button", "Load the page again")?.click()?;
    wait_for_step(&page, 5, STARTING)?;
    visit.end()
}

#[test]
fn a_lost_device_leaves_the_run_to_the_cpu() -> Outcome {
    let Some(visit) = Visit::start(Look { webgpu: true, ..Look::default() })? else { return Ok(()) };
    let read = |page: &Page| {
        let cells = "return [...document.querySelectorAll('td[data-value]')].map((cell) => Number(cell.dataset.value))";
        let found = page.script(cells, json!([]))?;
        Ok::<Vec<f64>, String>(found.as_array().into_iter().flatten().filter_map(serde_json::Value::as_f64).collect())
    };
    let setting = |engine: &str, fault: &str| {
        format!("?lab=fourier-head-draw&fault={fault}#steps=170&speed=max&seed=5&engine={engine}")
    };
    let page = visit.open(&setting("cpu", "none"))?;
    end_of_run(&page, 170)?;
    let undisturbed = read(&page)?;
    let page = visit.open(&setting("gpu", "device:110"))?;
    let slow = Duration::from_secs(300);
    page.eventually(slow, "lost device", || {
        let said = page.script("return document.querySelector('[role=alert]')?.innerText ?? ''", json!([]))?;
        Ok(said.as_str().is_some_and(|said| said.contains("The device failed")).then_some(()))
    })?;
    assert!(step(&page)? >= 100, "it broke before it had run");
    page.find("button", "Go on with the CPU engine")?.click()?;
    end_of_run(&page, 170)?;
    let after = read(&page)?;
    assert_eq!(after.len(), undisturbed.len());
    assert!(after.len() > 5, "{after:?}");
    for (got, want) in after.iter().zip(&undisturbed) {
        assert!((got - want).abs() <= 1e-3 * want.abs().max(0.1), "{after:?} and {undisturbed:?}");
    }
    visit.end()
}

#[test]
fn a_link_is_mended_and_the_mend_is_said() -> Outcome {
    let Some(visit) = Visit::start(Look::default())? else { return Ok(()) };
    let page = visit.open("?lab=fourier-head-draw#frequencies=9999&learning_rate=NaN&nonsense=1&draws=-5")?;
    wait_for_step(&page, 3, STARTING)?;
    let text = page.text()?;
    for words in ["Most is 63; 63 is used.", "“NaN” is not a number; 0.01 is used.", "This lab has no “nonsense”"]
    {
        assert!(text.contains(words), "{words} is not said: {text}");
    }
    let page = visit.open("?lab=no-such-lab")?;
    page.eventually(STARTING, "sentence", || Ok(page.text()?.contains("There is no lab “no-such-lab”").then_some(())))?;
    visit.end()
}

#[test]
fn a_table_that_cannot_be_used_is_refused_in_words() -> Outcome {
    let Some(visit) = Visit::start(Look::default())? else { return Ok(()) };
    let folder = std::env::temp_dir().join(format!("heads-and-tails-tables-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let page = visit.open("?lab=fourier-head-own#steps=100")?;
    wait_for_step(&page, 1, STARTING)?;
    let tables: [(&str, Vec<u8>); 5] = [
        ("empty.csv", Vec::new()),
        ("binary.csv", (0..4000_u32).map(|byte| (byte.wrapping_mul(2_654_435_761) >> 24) as u8).collect()),
        ("text.csv", b"name,place\nAda,London\nEmmy,Erlangen\n".to_vec()),
        ("constant.csv", "5\n".repeat(200).into_bytes()),
        ("large.csv", "1,2\n".repeat(1_400_000).into_bytes()),
    ];
    for (name, bytes) in tables {
        let file = folder.join(name);
        std::fs::write(&file, bytes).map_err(|error| error.to_string())?;
        let before = page.text()?;
        page.choose_file("param-file", &file)?;
        let said = page.eventually(STARTING, &format!("sentence about {name}"), || {
            let read = "return [...document.querySelectorAll('[role=alert], .field-fix')].map((note) => note.innerText).join(' ')";
            let said = page.script(read, json!([]))?.as_str().unwrap_or_default().trim().to_owned();
            Ok((said.len() > 20 && !before.contains(&said)).then_some(said))
        })?;
        eprintln!("{name}: {said}");
        // Each on a page without the trouble of the one before.
        visit.open("?lab=fourier-head-own#steps=100")?;
        wait_for_step(&page, 1, STARTING)?;
    }
    let _removed = std::fs::remove_dir_all(&folder);
    visit.end()
}
