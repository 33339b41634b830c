//! Everyone can use the pages: axe finds nothing, the keyboard reaches everything, nobody is shown more motion than they
//! asked for, and a page looks as it did.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use e2e::{Element, Look, Outcome, Page, STARTING, Visit, end_of_run, step, wait_for_step};
use serde_json::json;

fn violations(page: &Page, axe: &str) -> Outcome<Vec<String>> {
    // The page's policy refuses an injected script element, but not what the driver itself runs.
    page.script(&format!("{axe}; window.axe = window.axe || axe;"), json!([]))?;
    let run = "window.found = null; axe.run(document, { resultTypes: ['violations'] }).then((result) => {
        window.found = result.violations.map((v) => v.id + ': ' + v.nodes.map((node) => node.html.slice(0, 120)).join(' | ')); })";
    page.script(run, json!([]))?;
    page.eventually(Duration::from_secs(60), "answer of axe", || {
        let found = page.script("return window.found", json!([]))?;
        let list = found.as_array();
        Ok(list.map(|list| list.iter().filter_map(|item| Some(item.as_str()?.to_owned())).collect()))
    })
}

/// Every kind of page: its address, and what is there when it is ready, by role and start of its name.
const PAGES: [(&str, &str, &str); 28] = [
    ("?", "heading", "Labs"),
    ("?page=about", "heading", "When something breaks"),
    ("?lab=no-such-lab", "alert", ""),
    ("?lab=fourier-head-draw#steps=60", "region", "Table 1"),
    ("?lab=fourier-head#steps=100", "region", "Table 1"),
    ("?lab=fourier-head-random#steps=100", "region", "Table 1"),
    ("?lab=fourier-head-series#steps=100", "region", "Table 1"),
    ("?lab=fourier-head-own#steps=100", "region", "Table 1"),
    ("?lab=induction#steps=100&item_width=7&pairs=3&slots=9", "region", "Table 1"),
    ("?lab=induction-reduced", "region", "Table 1"),
    ("?lab=kv-cache-evict#contexts=1", "region", "Table 1"),
    ("?lab=kv-cache-quantize#contexts=1", "region", "Table 1"),
    ("?lab=kv-cache-both#contexts=1&map=0", "region", "Table 1"),
    ("?lab=kv-cache-generate#length=24", "region", "Table 1"),
    ("?lab=kv-cache-own", "region", "Table 1"),
    ("?lab=kv-cache-train#steps=50&batch=4", "region", "Table 1"),
    ("?lab=longheads#length=126", "region", "Table 1"),
    ("?lab=longheads-map#longest=256", "region", "Table 1"),
    ("?lab=longheads-own", "region", "Table 1"),
    ("?lab=link", "region", "Table 1"),
    ("?lab=link-world#trained=evaluator&training=1", "region", "Table 1"),
    ("?lab=link-own", "region", "Table 1"),
    ("?lab=fourier-head-draw&embed=1&panel=density#steps=60", "region", "Fig. 1"),
    ("?lab=fourier-head-draw&embed=1#steps=60", "region", "Table 1"),
    ("?lab=fourier-head-draw&start=click&embed=1", "button", "Run it here"),
    ("?lab=fourier-head-draw#steps=60&compare=frequencies:40", "region", "Table 1 B"),
    ("?lab=fourier-head-draw&fault=panic:20#steps=60", "alert", ""),
    ("?lab=fourier-head-draw&lock=all#steps=60&frequencies=900", "region", "Table 1"),
];

#[test]
fn axe_finds_nothing_on_any_page_in_any_theme() -> Outcome {
    let Some(axe) = std::env::var_os("HT_AXE") else {
        eprintln!("skipped: HT_AXE names no axe-core; `cargo xtask test e2e` installs it");
        return Ok(());
    };
    let axe = fs::read_to_string(axe).map_err(|error| format!("axe-core: {error}"))?;
    let Some(visit) = Visit::start(Look::default())? else { return Ok(()) };
    let in_both_themes = |page: &Page, what: &str| -> Outcome {
        for theme in ["light", "dark"] {
            page.script(&format!("document.documentElement.dataset.theme = '{theme}'"), json!([]))?;
            // Colors that change by and by would be judged on their way.
            sleep(Duration::from_millis(400));
            assert_eq!(violations(page, &axe)?, Vec::<String>::new(), "{what}, {theme}");
        }
        Ok(())
    };
    for (address, role, name) in PAGES {
        let page = visit.open(address)?;
        page.find_prefix(role, name)?;
        // What comes from a file of its own, a text or a picture, comes last.
        sleep(Duration::from_millis(600));
        in_both_themes(&page, address)?;
    }
    let page = visit.open("?lab=fourier-head-draw#steps=60")?;
    wait_for_step(&page, 60, STARTING)?;
    for dialog in ["Keys", "Embed"] {
        page.find("button", dialog)?.click()?;
        page.find("dialog", dialog)?;
        in_both_themes(&page, dialog)?;
        page.press(&["Escape"])?;
    }
    visit.end()
}

/// The parts of a lab's page in the order in which the keyboard should come to them.
const PARTS: [&str; 7] =
    [".skip", "header", "nav[aria-label='Labs of this page']", "[aria-label=Run]", ".bench", "aside", "article"];

/// What has the focus: its place in the list, its name, the number of its part, whether the focus is seen on it.
const FOCUSED: &str = "const e = document.activeElement;
    const index = window.reachable.indexOf(e);
    const part = arguments[0].findIndex((part) => e.closest(part));
    const framed = (e) => { const style = getComputedStyle(e); return style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0; };
    const area = e.getBoundingClientRect();
    const seen = area.bottom > 0 && area.top < innerHeight && [e, e.closest('label'), e.closest('.card')].some((e) => e && framed(e));
    const name = e.localName + ' ' + e.className + ' ' + (e.getAttribute('aria-label') ?? e.id + e.textContent.trim().slice(0, 40));
    return [index, name, part, seen];";

#[test]
fn the_keyboard_reaches_everything_in_order() -> Outcome {
    let Some(visit) = Visit::start(Look::default())? else { return Ok(()) };
    let page = visit.open("?lab=fourier-head-draw#steps=100&speed=max")?;
    wait_for_step(&page, 100, STARTING)?;
    page.find_prefix("heading", "What to look at")?;
    // All that a hand could use; of radio buttons a Tab reaches the chosen one.
    let list = "const may = 'a[href], button, input, select, textarea, summary, [tabindex=\"0\"]';
        window.reachable = [...document.querySelectorAll(may)].filter((e) => !e.disabled && !e.closest('dialog:not([open])')
            && (e.type !== 'radio' || e.checked) && (e.checkVisibility() || e.matches('.skip')));
        return window.reachable.length;";
    let count = page.script(list, json!([]))?.as_u64().unwrap_or(0) as usize;
    assert!(count > 40, "only {count} things to reach");
    let (mut reached, mut last) = (vec![false; count], 0);
    for _ in 0..count + 5 {
        page.press(&["Tab"])?;
        let here = page.script(FOCUSED, json!([PARTS]))?;
        let Some(index) = here[0].as_u64() else { break };
        let name = here[1].as_str().unwrap_or_default();
        if std::mem::replace(&mut reached[index as usize], true) {
            break;
        }
        assert!(here[3] == json!(true), "the focus is not seen on {name}");
        let part = here[2].as_u64().ok_or_else(|| format!("{name} is in no part of the page"))?;
        assert!(part >= last, "{name}, in {}, comes after {}", PARTS[part as usize], PARTS[last as usize]);
        last = part;
    }
    let missed: Vec<usize> = (0..count).filter(|&index| !reached[index]).collect();
    let names = "return arguments[0].map((index) => window.reachable[index].outerHTML.slice(0, 160))";
    assert!(missed.is_empty(), "not reached: {:#}", page.script(names, json!([missed]))?);
    assert_eq!(last as usize, PARTS.len() - 1, "the walk ended early");
    visit.end()
}

#[test]
fn the_words_of_a_context_are_one_stop_of_the_keyboard() -> Outcome {
    let Some(visit) = Visit::start(Look::default())? else { return Ok(()) };
    let page = visit.open("?lab=kv-cache-evict#contexts=1")?;
    wait_for_step(&page, 1, STARTING)?;
    let start = "const words = [...document.querySelectorAll('button[data-token]')];
        const stops = words.filter((word) => word.tabIndex === 0);
        stops[0]?.focus();
        return [words.length, stops.length];";
    let found = page.script(start, json!([]))?;
    assert!(found[0].as_u64() > Some(100), "{found} words");
    assert_eq!(found[1], 1, "of {} words so many are stops", found[0]);
    let focused = || -> Outcome<[i64; 2]> {
        let at = page.script("const e = document.activeElement; return [+e.dataset.token, e.offsetTop];", json!([]))?;
        Ok([0, 1].map(|part| at[part].as_i64().unwrap_or(-1)))
    };
    let [first, line] = focused()?;
    page.press(&["ArrowRight"])?;
    page.press(&["ArrowRight"])?;
    assert_eq!(focused()?[0], first + 2);
    page.press(&["ArrowDown"])?;
    let [word, below] = focused()?;
    assert!(below > line && word > first + 2, "word {word} in line {below}, after {line}");
    page.press(&["Enter"])?;
    page.eventually(Duration::from_secs(10), "struck word in the address", || {
        Ok(page.address()?.contains(&format!("struck={word}")).then_some(()))
    })?;
    assert_eq!(focused()?[0], word, "the focus was lost");
    page.press(&["Home"])?;
    assert_eq!(focused()?[0], 0);
    page.press(&["ArrowUp"])?;
    assert_eq!(focused()?[0], 0, "there is no line above the first");
    visit.end()
}

fn has_focus(page: &Page, role: &str, start: &str) -> Outcome {
    let what = format!("focus on {role} “{start}”");
    let back = page.eventually(Duration::from_secs(10), &what, || {
        let (of, name) = page.focused()?;
        Ok((of == role && name.starts_with(start)).then_some(()))
    });
    back.map_err(|problem| format!("{problem} It is on {:?}", page.focused()))
}

fn press_on(page: &Page, element: &Element, keys: &[&str]) -> Outcome {
    element.focus()?;
    page.press(keys)
}

fn until(page: &Page, what: &str, fits: impl Fn(&str) -> bool) -> Outcome {
    page.eventually(STARTING, what, || Ok(fits(&page.address()?).then_some(())))
}

#[test]
fn the_space_bar_plays_and_pauses() -> Outcome {
    let Some(visit) = Visit::start(Look::default())? else { return Ok(()) };
    let page = visit.open("?lab=fourier-head-draw&start=paused#steps=5000&speed=1")?;
    page.find_prefix("region", "Fig. 1")?;
    page.press(&["Space"])?;
    page.find("button", "Pause")?;
    wait_for_step(&page, 3, STARTING)?;
    page.press(&["Space"])?;
    page.find("button", "Play")?;
    visit.end()
}

#[test]
fn keys_help_and_undo() -> Outcome {
    let Some(visit) = Visit::start(Look::default())? else { return Ok(()) };
    let page = visit.open("?lab=fourier-head-draw&start=paused")?;
    page.find_prefix("region", "Fig. 1")?;

    press_on(&page, &page.find("button", "Restart")?, &["?"])?;
    page.find("dialog", "Keys")?;
    page.press(&["Escape"])?;
    page.eventually(STARTING, "closed dialog", || Ok(page.all("dialog")?.is_empty().then_some(())))?;
    has_focus(&page, "button", "Restart")?;
    // Through its own button too.
    press_on(&page, &page.find("button", "Keys")?, &["Enter"])?;
    page.find("dialog", "Keys")?;
    page.press(&["Escape"])?;
    has_focus(&page, "button", "Keys")?;

    page.press(&["s"])?;
    until(&page, "next seed", |link| link.contains("seed=2"))?;
    page.press(&["z"])?;
    until(&page, "undone change", |link| !link.contains("seed=2"))?;
    page.press(&["y"])?;
    until(&page, "change that came back", |link| link.contains("seed=2"))?;
    visit.end()
}

#[test]
fn keys_draw_a_guess_and_move_a_handle() -> Outcome {
    let Some(visit) = Visit::start(Look::default())? else { return Ok(()) };
    let page = visit.open("?lab=fourier-head-draw&start=paused#steps=100&speed=max")?;
    press_on(&page, &page.find("button", "Distance from truth: draw your guess first")?, &["Enter"])?;
    let plot = page.find_prefix("group", "Distance from truth: left and right choose a place")?;
    press_on(&page, &plot, &["ArrowRight", "ArrowUp", "ArrowRight", "ArrowUp", "ArrowUp"])?;
    until(&page, "guess in the link", |link| link.contains("guess=distance"))?;
    assert_eq!(step(&page)?, 0, "the run did not wait for the guess");
    assert!(!page.text()?.contains("you drew"), "it is told before the run");
    press_on(&page, &page.find("button", "Play")?, &["Enter"])?;
    wait_for_step(&page, 100, STARTING)?;
    page.eventually(STARTING, "sentence about the guess", || {
        let caption = page.find_prefix("region", "Fig. 3")?.text()?;
        Ok(["At step 100 you drew", "On average you were"].iter().all(|words| caption.contains(words)).then_some(()))
    })?;

    // A number of the Fourier head, which is a parameter in the link.
    let plane = page.find_prefix("group", "13 complex numbers: N and P choose a point")?;
    for keys in [&["n", "ArrowUp", "ArrowUp"][..], &["Control+ArrowUp"], &["Shift+ArrowUp"]] {
        press_on(&page, &plane, keys)?;
        until(&page, "moved handle", |link| link.contains("handles="))?;
        page.press(&["z"])?;
        until(&page, "handle that went back", |link| !link.contains("handles="))?;
    }
    visit.end()
}

/// Steps a second, and how often in a second the first figure changes, over some seconds in which the page is seen.
fn pace(page: &Page, seconds: f64) -> Outcome<(f64, f64)> {
    let watch = "const [seconds] = arguments;
        const count = document.getElementById('count'), panel = document.querySelector('section.panel');
        return new Promise((tell) => {
            const start = performance.now(); let drawn = null, first = null, last = null, changes = 0;
            const look = () => {
                const now = performance.now();
                if (panel.innerHTML !== drawn) {
                    const at = [now, Number(count.textContent)];
                    if (first) { changes += 1; last = at; } else if (drawn) { first = at; }
                    drawn = panel.innerHTML;
                }
                if (now - start < 1000 * seconds || !last) requestAnimationFrame(look);
                else tell([1000 * (last[1] - first[1]) / (last[0] - first[0]), 1000 * changes / (now - start)]);
            };
            requestAnimationFrame(look);
        });";
    let found = page.script(watch, json!([seconds]))?;
    let number = |index: usize| found[index].as_f64().ok_or_else(|| format!("no pace: {found}"));
    Ok((number(0)?, number(1)?))
}

/// Steps a second while another tab lies over the page.
fn hidden_pace(page: &Page, seconds: u64) -> Outcome<f64> {
    let now = "return [performance.now(), Number(document.getElementById('count').textContent), window.hidden ?? 0]";
    let listen = "let since = 0; document.addEventListener('visibilitychange', () => {
        if (document.hidden) since = performance.now(); else window.hidden = performance.now() - since; });";
    page.script(listen, json!([]))?;
    let before = page.script(now, json!([]))?;
    let windows = page.cover()?;
    sleep(Duration::from_secs(seconds));
    page.uncover(&windows)?;
    // The picture of the moment in which it was covered comes first.
    sleep(Duration::from_millis(600));
    let after = page.script(now, json!([]))?;
    let since = |index: usize| after[index].as_f64().unwrap_or(0.0) - before[index].as_f64().unwrap_or(0.0);
    assert!(since(2) > 900.0 * seconds as f64, "it was not hidden: {after}");
    Ok(1000.0 * since(1) / since(0))
}

#[test]
fn neither_a_hidden_tab_nor_little_motion_slows_the_run() -> Outcome {
    let Some(visit) = Visit::start(Look { slow_unseen: true, ..Look::default() })? else { return Ok(()) };
    let link = "?lab=fourier-head-draw#steps=5000&speed=1&engine=cpu";
    let page = visit.open(link)?;
    wait_for_step(&page, 20, STARTING)?;
    let (seen, changes) = pace(&page, 3.0)?;
    assert!(changes > 4.0, "the figure hardly moves: {changes} times a second");
    // Faster is no fault: what is not drawn leaves more of the machine to the run.
    let hidden = hidden_pace(&page, 4)?;
    assert!(hidden > 0.8 * seen, "{hidden} steps a second while it is hidden, {seen} while it is seen");

    page.reduce_motion(true)?;
    let page = visit.open(link)?;
    wait_for_step(&page, 20, STARTING)?;
    let (calm, changes) = pace(&page, 4.0)?;
    page.reduce_motion(false)?;
    assert!((0.5..2.6).contains(&changes), "{changes} changes a second where little motion is wanted");
    assert!(calm > 0.8 * seen, "{calm} steps a second with little motion, {seen} with all");
    visit.end()
}

/// Mean difference of the colors of two pictures, from 0 to 255, over cells of a 32 × 20 grid: so coarse that letters of
/// another typeface hardly count, and a figure that is missing does.
fn difference(page: &Page, one: &[u8], other: &[u8]) -> Outcome<f64> {
    // The browser reads PNG anyway. Not on the page itself, whose own policy may forbid it.
    page.open("about:blank")?;
    let compare = "const cells = async (data) => {
            const image = new Image(); image.src = 'data:image/png;base64,' + data; await image.decode();
            const { width, height } = image;
            const canvas = new OffscreenCanvas(width, height), pen = canvas.getContext('2d');
            pen.drawImage(image, 0, 0);
            const pixels = pen.getImageData(0, 0, width, height).data, sums = new Float64Array(1920), counts = new Float64Array(640);
            for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) {
                const cell = Math.floor(20 * y / height) * 32 + Math.floor(32 * x / width), at = 4 * (y * width + x);
                counts[cell] += 1;
                for (let c = 0; c < 3; c++) sums[3 * cell + c] += pixels[at + c];
            }
            return [width, height, sums.map((sum, index) => sum / counts[Math.floor(index / 3)])];
        };
        return Promise.all([...arguments].map(cells)).then(([[w, h, a], [v, g, b]]) =>
            w === v && h === g ? a.reduce((sum, value, index) => sum + Math.abs(value - b[index]), 0) / a.length : 255);";
    let data = json!([BASE64_STANDARD.encode(one), BASE64_STANDARD.encode(other)]);
    page.script(compare, data)?.as_f64().ok_or_else(|| "the pictures cannot be compared".to_owned())
}

/// Another typeface throughout makes up to 6, for its lines break elsewhere; a page without its style sheet is 28 and more
/// apart, one in the other theme about 200. What is drawn in a figure, thin as it is, other tests look at.
const MOST_DIFFERENCE: f64 = 8.0;

/// Compares what a page shows with the picture that is kept of it, which `HT_UPDATE=1` writes anew.
fn looks_as_before(page: &Page, name: &str, width: u32, height: u32) -> Outcome {
    let shot = page.view(width, height)?;
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("shots").join(name);
    if std::env::var_os("HT_UPDATE").is_some() {
        let written = fs::create_dir_all(file.parent().unwrap_or(&file)).and_then(|()| fs::write(&file, &shot));
        return written.map_err(|error| format!("{}: {error}", file.display()));
    }
    let kept = fs::read(&file).map_err(|error| format!("{}: {error}; HT_UPDATE=1 writes it", file.display()))?;
    let apart = difference(page, &kept, &shot)?;
    eprintln!("{name}: {apart:.2} apart");
    if apart > MOST_DIFFERENCE {
        let new = std::env::temp_dir().join(format!("heads-and-tails-{name}"));
        fs::write(&new, &shot).map_err(|error| format!("{}: {error}", new.display()))?;
        return Err(format!("{name} is {apart:.1} apart from what is kept; what it looks like now: {}", new.display()));
    }
    Ok(())
}

#[test]
fn pages_look_as_they_did() -> Outcome {
    let Some(visit) = Visit::start(Look::default())? else { return Ok(()) };
    let page = visit.open("?theme=light")?;
    page.find("button", "Play")?;
    let ended = "const bars = [...document.querySelectorAll('progress')];
        return bars.length > 0 && bars.every((bar) => bar.value === bar.max)";
    page.eventually(STARTING, "end of the run", || Ok((page.script(ended, json!([]))? == json!(true)).then_some(())))?;
    looks_as_before(&page, "home-1280-light.png", 1280, 900)?;
    let page = visit.open("?lab=fourier-head-draw&theme=dark#steps=150&seed=5&engine=cpu&speed=max")?;
    end_of_run(&page, 150)?;
    looks_as_before(&page, "lab-1280-dark.png", 1280, 900)?;
    let page =
        visit.open("?lab=fourier-head-draw&embed=1&panel=density&theme=light#steps=150&seed=5&engine=cpu&speed=max")?;
    end_of_run(&page, 150)?;
    looks_as_before(&page, "embed-480.png", 480, 400)?;
    visit.end()
}
