//! Everyone can use the pages: axe finds nothing, and the keyboard reaches everything.

use std::time::Duration;

use e2e::{Look, Outcome, Page, STARTING, Visit, wait_for_step};
use serde_json::json;

fn violations(page: &Page, axe: &str) -> Outcome<Vec<String>> {
    // The page's policy refuses an injected script element, but not what the driver itself runs.
    page.script(&format!("{axe}; window.axe = window.axe || axe;"), json!([]))?;
    let run = "window.found = null; axe.run(document, { resultTypes: ['violations'] }).then((result) => {
        window.found = result.violations.map((v) => v.id + ': ' + v.nodes.map((node) => node.html.slice(0, 120)).join(' | ')); })";
    page.script(run, json!([]))?;
    page.eventually(Duration::from_secs(30), "answer of axe", || {
        let found = page.script("return window.found", json!([]))?;
        let list = found.as_array();
        Ok(list.map(|list| list.iter().filter_map(|item| Some(item.as_str()?.to_owned())).collect()))
    })
}

#[test]
fn axe_finds_nothing_on_any_page_in_any_theme() -> Outcome {
    let Some(axe) = std::env::var_os("HT_AXE") else {
        eprintln!("skipped: HT_AXE names no axe-core; `cargo xtask test e2e` installs it");
        return Ok(());
    };
    let axe = std::fs::read_to_string(axe).map_err(|error| format!("axe-core: {error}"))?;
    let Some(visit) = Visit::start(Look::default())? else { return Ok(()) };
    let pages = [
        ("?", "", ""),
        ("?page=about&", "", ""),
        ("?lab=fourier-head-draw&", "#steps=60", ""),
        ("?lab=fourier-head&", "#steps=100", ""),
        ("?lab=fourier-head-random&", "#steps=100", ""),
        ("?lab=fourier-head-series&", "#steps=100", ""),
        ("?lab=fourier-head-own&", "#steps=100", ""),
        ("?lab=fourier-head-draw&embed=1&panel=density&", "#steps=60", ""),
        ("?lab=fourier-head-draw&embed=1&", "#steps=60", ""),
        ("?lab=fourier-head-draw&start=click&embed=1&", "", ""),
        ("?lab=fourier-head-draw&", "#steps=60&compare=frequencies:40", ""),
        ("?lab=fourier-head-draw&fault=panic:20&", "#steps=60", ""),
        ("?lab=fourier-head-draw&lock=all&", "#steps=60&frequencies=900", ""),
        ("?lab=fourier-head-draw&", "#steps=60", "Keys"),
        ("?lab=fourier-head-draw&", "#steps=60", "Embed"),
    ];
    for (query, fragment, dialog) in pages {
        for theme in ["light", "dark"] {
            let address = format!("{query}theme={theme}{fragment}");
            let page = visit.open(&address)?;
            page.find_prefix("main", "")?;
            std::thread::sleep(Duration::from_millis(1500));
            if !dialog.is_empty() {
                page.find("button", dialog)?.click()?;
                page.find("dialog", dialog)?;
            }
            assert_eq!(violations(&page, &axe)?, Vec::<String>::new(), "{address} {dialog}");
        }
    }
    visit.end()
}

#[test]
fn the_keyboard_reaches_everything() -> Outcome {
    let Some(visit) = Visit::start(Look::default())? else { return Ok(()) };
    let page = visit.open("?lab=fourier-head-draw#steps=100&speed=max")?;
    wait_for_step(&page, 100, STARTING)?;
    // Everything that can be focused, in the order of the document; of radio buttons a Tab reaches one of each group.
    let all = "return [...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex=\"0\"]')]
        .filter((element) => element.checkVisibility() && !element.disabled && element.closest('dialog:not([open])') === null)
        .filter((element) => element.type !== 'radio' || element.checked).length";
    let count = page.script(all, json!([]))?.as_u64().unwrap_or(0);
    assert!(count > 40, "only {count} things to reach");
    let mut reached = Vec::new();
    for _ in 0..count + 5 {
        page.press(&["Tab"])?;
        let here = "const e = document.activeElement; window.seen ??= new Set();
            if (e === document.body || window.seen.has(e)) return null;
            window.seen.add(e); const style = getComputedStyle(e);
            return [e.className + ' ' + (e.getAttribute('aria-label') ?? e.textContent ?? '').slice(0, 40),
                style.outlineStyle !== 'none' || getComputedStyle(e.closest('label, .card') ?? e).outlineStyle !== 'none']";
        let here = page.script(here, json!([]))?;
        let Some(name) = here[0].as_str() else { break };
        assert!(here[1] == json!(true), "the focus is not seen on {name}");
        reached.push(name.to_owned());
    }
    assert!(reached.len() as u64 >= count, "{} of {count} are reached: {reached:#?}", reached.len());
    assert!(reached[0].contains("To the figures"), "{}", reached[0]);
    let place = |word: &str| reached.iter().position(|name| name.contains(word)).unwrap_or(usize::MAX);
    assert!(place("Restart") < place("plot-wrap") && place("plot-wrap") < place("chip"), "{reached:#?}");
    visit.end()
}

#[test]
fn keys_play_help_undo_and_move_what_a_hand_moves() -> Outcome {
    let Some(visit) = Visit::start(Look::default())? else { return Ok(()) };
    let page = visit.open("?lab=fourier-head-draw&start=paused#steps=100&speed=max")?;
    page.find("button", "Play")?;
    page.press(&["?"])?;
    page.find("dialog", "Keys")?;
    page.press(&["Escape"])?;
    page.eventually(STARTING, "closed dialog", || Ok(page.all("dialog")?.is_empty().then_some(())))?;
    page.press(&["s"])?;
    let seed = |page: &Page| Ok::<bool, String>(page.address()?.contains("seed=2"));
    page.eventually(STARTING, "next seed", || Ok(seed(&page)?.then_some(())))?;
    page.press(&["z"])?;
    page.eventually(STARTING, "undone change", || Ok((!seed(&page)?).then_some(())))?;

    // A curve drawn by keys, and what is said of it when the run has come.
    page.find("button", "Distance from truth: draw your guess first")?.click()?;
    let focus = "document.querySelector('#distance .plot-wrap').focus()";
    page.script(focus, json!([]))?;
    page.press(&["ArrowRight", "ArrowUp", "ArrowRight", "ArrowUp", "ArrowUp"])?;
    page.eventually(STARTING, "guess in the link", || Ok(page.address()?.contains("guess=distance").then_some(())))?;
    page.find("button", "Play")?.click()?;
    wait_for_step(&page, 100, STARTING)?;
    page.eventually(STARTING, "sentence about the guess", || Ok(page.text()?.contains("you drew").then_some(())))?;

    // A handle of the plane, moved by an arrow, is a parameter in the link.
    page.script("document.querySelector('#plane .plot-wrap').focus()", json!([]))?;
    page.press(&["n", "ArrowUp", "ArrowUp"])?;
    page.eventually(STARTING, "moved handle", || Ok(page.address()?.contains("handles=").then_some(())))?;
    visit.end()
}
