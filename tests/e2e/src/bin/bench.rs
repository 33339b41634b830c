//! How fast the built site is in a browser, as titles and the rows of Markdown tables: `bench <site> <lab>…`.
//!
//! The page notes by itself what it shows and when: a question through the driver takes longer than what is measured.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

use e2e::{Browser, Look, Outcome, Page, STARTING, Server, middle, number, panels, step, wait_for_step};
use serde_json::{Value, json};

/// The lab that is trained flat out, and the one with enough steps for a tab to be hidden for a while.
const FAST: &str = "fourier-head-draw";
const LONG: &str = "fourier-head";

/// So many fresh browsers are started; the middle one counts.
const STARTS: usize = 3;
const RESTARTS: u32 = 50;
/// How long something is watched.
const WATCHED: Duration = Duration::from_secs(5);
/// Any lab's default run ends within, on a slow machine.
const RUN: Duration = Duration::from_secs(300);

/// Notes from now on: when each picture of the screen came, and each with a new figure; when a step was first seen; how
/// long tasks were that took over 50 ms; and when the page was hidden or seen again.
const WATCH: &str = "
    const seen = window.seen = { pictures: [], figures: [], steps: [], tasks: [], flips: [] };
    const step = () => Number(document.getElementById('count')?.textContent ?? 0);
    let drawn = false;
    const picture = (now) => {
        seen.pictures.push(now);
        if (drawn) seen.figures.push(now);
        drawn = false;
        if (step() > (seen.steps.at(-1)?.[0] ?? 0)) seen.steps.push([step(), now]);
        requestAnimationFrame(picture);
    };
    requestAnimationFrame(picture);
    new PerformanceObserver((list) => seen.tasks.push(...list.getEntries().map((task) => task.duration)))
        .observe({ entryTypes: ['longtask'] });
    addEventListener('visibilitychange', () => seen.flips.push([document.hidden, performance.now()]));
    const panel = document.querySelector('section.panel');
    if (panel) new MutationObserver(() => { drawn = true; }).observe(panel, { childList: true, subtree: true });";

/// Notes when an answer of the lab that evicts was there first: its panel, and no longer the recorded one.
const ANSWERED: &str = "
    const look = () => {
        if (document.querySelector('#questions td')) window.answered ??= performance.now();
        else requestAnimationFrame(look);
    };
    if (window === top) requestAnimationFrame(look);";

/// Lets the engine on WebGPU count what it asks of the device, and tell whoever asks on the channel `counts`.
const COUNT: &str = "
    const counting = `
        const counts = { dispatches: 0, submissions: 0, readings: 0, read: 0, written: 0 };
        const wrap = (type, name, count) => {
            const whole = type.prototype[name];
            type.prototype[name] = function (...given) { count(given, this); return whole.apply(this, given); };
        };
        wrap(GPUComputePassEncoder, 'dispatchWorkgroups', () => { counts.dispatches += 1; });
        wrap(GPUComputePassEncoder, 'dispatchWorkgroupsIndirect', () => { counts.dispatches += 1; });
        wrap(GPUQueue, 'submit', () => { counts.submissions += 1; });
        wrap(GPUQueue, 'writeBuffer', (given) => { counts.written += given[4] ?? given[2].byteLength; });
        wrap(GPUBuffer, 'mapAsync', (given, buffer) => { counts.readings += 1; counts.read += buffer.size; });
        const channel = new BroadcastChannel('counts');
        channel.onmessage = ({ data }) => { if (data === 'ask') channel.postMessage(counts); };`;
    const Whole = window.Blob;
    window.Blob = class extends Whole {
        constructor(parts, options) {
            const engine = typeof parts?.[0] === 'string' && parts[0].includes('gpu-engine');
            super(engine ? [counting, ...parts] : parts, options);
        }
    };";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.as_slice() {
        [site, labs @ ..] => measure(Path::new(site), labs),
        [] => Err("usage: bench <site> <lab>…".to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

fn measure(site: &Path, labs: &[String]) -> Outcome {
    let server = Server::start_kept(site)?;
    let browser = Browser::start(Look::default())?;
    let page = browser.page();
    // These rows go on a table that has begun with the same labs elsewhere.
    for lab in labs {
        rate(&page, &server, lab)?;
    }
    println!("## An induction head");
    for seed in 0..5 {
        cliff(&page, &server, seed)?;
    }
    scrub(&page, &server)?;
    println!("## KV-cache compression");
    compression(&server)?;
    println!("## LongHeads");
    long_texts(&page, &server)?;
    // Elsewhere a browser's clock is rounded so far that a picture in time cannot be told from one just too late.
    let apart = Server::start_apart(site)?;
    println!("## LINK");
    rule_search(&page, &apart)?;
    println!("## While a lab trains flat out");
    frames(&page, &apart)?;
    println!("## Memory");
    restarts(&browser, &server)?;
    drop(browser);
    println!("## Starting");
    starts(&server)?;
    println!("## In a hidden tab");
    hidden(&server)?;
    println!("## What a step asks of WebGPU");
    dispatches(&server)
}

/// A row: with a budget, in words, if there is one, and whether it is met.
fn row(what: &str, value: &str, budget: Option<(&str, bool)>, with: &str) {
    let (budget, met) = budget.map_or(("", ""), |(words, met)| (words, if met { "yes" } else { "no" }));
    println!("| {what} | {value} | {budget} | {met} | `{with}` |");
}

/// Opens a lab that waits for Play, and watches it once its first frame is drawn.
fn open_paused(page: &Page, server: &Server, query: &str) -> Outcome {
    page.open(&server.address(&query.replacen('#', "&start=paused#", 1)))?;
    page.eventually(STARTING, "first frame", || Ok((!panels(page)?.is_empty()).then_some(())))?;
    page.script(WATCH, json!([]))?;
    Ok(())
}

/// Steps a second of a lab's default run, from the first that is seen to the end.
fn rate(page: &Page, server: &Server, lab: &str) -> Outcome {
    let query = format!("?lab={lab}#engine=cpu&speed=max");
    open_paused(page, server, &query)?;
    let ends =
        page.script("return document.getElementById('count').parentElement.textContent.includes(' of ')", json!([]))?;
    if ends == json!(false) {
        // It waits for its reader.
        return Ok(());
    }
    page.find("button", "Play")?.click()?;
    let ends = "const of = document.getElementById('count').parentElement.textContent.match(/of (\\d+)/)?.[1];
        const last = window.seen.steps.at(-1);
        return last && last[0] >= Number(of) ? [window.seen.steps[0], last] : null";
    let ends = page.eventually(RUN, &format!("end of {lab}"), || {
        // Seldom: the driver works on the same processors.
        sleep(Duration::from_millis(500));
        Ok(Some(page.script(ends, json!([]))?).filter(Value::is_array))
    })?;
    let [(first, begin), (last, end)] = [0, 1].map(|at| (number(&ends[at][0]), number(&ends[at][1])));
    row(&format!("`{lab}` in the browser"), &format!("{:.0}", 1000.0 * (last - first) / (end - begin)), None, &query);
    Ok(())
}

/// Seconds from Play until the induction head's network is right by context in nine of ten cases, and until its first loss.
fn cliff(page: &Page, server: &Server, seed: u32) -> Outcome {
    // Seed 0 takes its time.
    let query = format!("?lab=induction#engine=cpu&speed=max&steps=3000&seed={seed}");
    open_paused(page, server, &query)?;
    let watch = "window.cliff = null; const began = performance.now();
        const look = () => {
            const cell = document.querySelector('td[data-key=step_90][data-value]');
            if (cell) window.cliff = [Number(cell.dataset.value), (performance.now() - began) / 1000];
            else requestAnimationFrame(look);
        };
        document.querySelector('.play').click(); look(); return began";
    let began = number(&page.script(watch, json!([]))?);
    let found = page.eventually(RUN, &format!("cliff of seed {seed}"), || {
        sleep(Duration::from_millis(500));
        Ok(Some(page.script("return window.cliff", json!([]))?).filter(Value::is_array))
    })?;
    let (step, seconds) = (number(&found[0]), number(&found[1]));
    let what = format!("seconds from Play to 90 % by context, seed {seed}, at step {step}");
    row(&what, &format!("{seconds:.1}"), Some(("30", seconds <= 30.0)), &query);
    if seed == 0 {
        let first = first_step(page)? - began;
        row("first loss after Play, ms", &format!("{first:.0}"), Some(("1000", first <= 1000.0)), &query);
    }
    Ok(())
}

/// Milliseconds from a move of the time line to the figure of that step, while the run goes on.
fn scrub(page: &Page, server: &Server) -> Outcome {
    let query = "?lab=induction#engine=cpu&speed=max&steps=4000";
    open_paused(page, server, query)?;
    page.find("button", "Play")?.click()?;
    wait_for_step(page, 400, RUN)?;
    let mut times = Vec::new();
    for to in [50, 350, 150, 250, 100, 300, 200] {
        let moved = format!(
            "const line = document.querySelector('.timeline input'); const before = window.seen.figures.length;
            line.value = {to}; const now = performance.now(); line.dispatchEvent(new Event('input', {{ bubbles: true }}));
            return new Promise((done) => {{
                const look = () => {{
                    const at = Number(document.getElementById('count').textContent);
                    if (at <= {to} && window.seen.figures.length > before) done(performance.now() - now);
                    else requestAnimationFrame(look);
                }};
                look();
            }})"
        );
        times.push(number(&page.script(&moved, json!([]))?));
        sleep(Duration::from_millis(300));
    }
    let time = middle(times);
    let what = "from a move of the time line to the figures of that step, median, ms";
    row(what, &format!("{time:.0}"), Some(("50", time <= 50.0)), query);
    Ok(())
}

/// The tab that evicts: from its address to an answer of a compressed cache, from a change to what it does, and every method
/// over every share. Then the training that its model took.
fn compression(server: &Server) -> Outcome {
    let browser = Browser::start(Look::default())?;
    let page = browser.page();
    page.before(ANSWERED)?;
    let query = "?lab=kv-cache-evict#engine=cpu";
    let answered = |page: &Page| {
        let when = "return window.answered";
        page.eventually(STARTING, "an answer", || Ok(page.script(when, json!([]))?.as_f64()))
    };
    // The first visit fills the browser's cache.
    let mut times = Vec::new();
    for visit in 0..=STARTS {
        page.open(&server.address(query))?;
        let time = answered(&page)?;
        if visit > 0 {
            times.push(time);
        }
    }
    let time = middle(times);
    let what = "from the address to the first answer of a compressed cache, cached, ms";
    row(what, &format!("{time:.0}"), Some(("2000", time <= 2000.0)), query);

    open_paused(&page, server, query)?;
    for (key, values) in [
        ("keep", ["0.5", "0.1", "0.75", "0.35", "0.25"]),
        ("score", ["snapkv", "tova", "keydiff", "h2o", "global-local"]),
        ("rest", ["dropped", "mergingpress", "d2o", "ems-all", "ems"]),
    ] {
        let mut times = Vec::new();
        for value in values {
            let changed = format!(
                "const knob = document.getElementById('param-{key}'); knob.value = '{value}';
                const now = performance.now(), drawn = ['context', 'questions', 'answer', 'errors'].map((id) => document.getElementById(id));
                return new Promise((done) => {{
                    const seen = new MutationObserver(() => requestAnimationFrame(() => {{
                        seen.disconnect();
                        done(performance.now() - now);
                    }}));
                    drawn.forEach((panel) => seen.observe(panel, {{ childList: true, subtree: true, characterData: true }}));
                    knob.dispatchEvent(new Event('change', {{ bubbles: true }}));
                }})"
            );
            times.push(number(&page.script(&changed, json!([]))?));
            sleep(Duration::from_millis(500));
        }
        let time = middle(times);
        let what = format!("from a change of `{key}` to the picture of what it does, median, ms");
        row(&what, &format!("{time:.0}"), Some(("100", time <= 100.0)), query);
    }

    open_paused(&page, server, query)?;
    let began = std::time::Instant::now();
    page.find_prefix("button", "Keep more or less")?.click()?;
    let all =
        "return document.querySelectorAll('details li a').length === 7 && !document.querySelector('.rail progress')";
    page.eventually(RUN, "sweep", || Ok((page.script(all, json!([]))? == json!(true)).then_some(())))?;
    let seconds = began.elapsed().as_secs_f64();
    let what = "every method at 7 shares, 64 questions each, s";
    row(what, &format!("{seconds:.1}"), Some(("20", seconds <= 20.0)), query);

    let query = "?lab=kv-cache-train#engine=cpu&speed=max";
    open_paused(&page, server, query)?;
    page.find("button", "Play")?.click()?;
    let began = std::time::Instant::now();
    wait_for_step(&page, 700, RUN)?;
    let seconds = began.elapsed().as_secs_f64();
    row("700 steps of its model, s", &format!("{seconds:.0}"), Some(("120", seconds <= 120.0)), query);
    Ok(())
}

/// What reading long texts takes: the lab's own clock, at the end of its map.
fn long_texts(page: &Page, server: &Server) -> Outcome {
    let query = "?lab=longheads-map#engine=cpu&speed=max";
    open_paused(page, server, query)?;
    page.find("button", "Play")?.click()?;
    wait_for_step(page, 576, RUN)?;
    let read = |key: &str| -> Result<f64, String> {
        let cell = format!("return Number(document.querySelector('td[data-key={key}]').dataset.value)");
        Ok(number(&page.script(&cell, json!([]))?))
    };
    let (short, long) = (read("ms_longheads_1")?, read("ms_longheads_8")?);
    row("LongHeads: a token after 1,024, ms", &format!("{long:.2}"), Some(("20", long <= 20.0)), query);
    let growth = (long / short).log2() / 3.0;
    let what = "LongHeads: exponent of that time from 128 to 1,024 tokens";
    row(what, &format!("{growth:.2}"), Some(("1.1", growth <= 1.1)), query);
    let full = read("ms_full_8")?;
    row("full attention: a token after 1,024, ms", &format!("{full:.2}"), None, query);
    let map = read("map_longheads")?;
    let what = "LongHeads: map of 8 × 8 texts, eight questions and 24 words on each, s";
    row(what, &format!("{map:.1}"), Some(("15", map <= 15.0)), query);
    Ok(())
}

/// Times between pictures of the screen, shortest first, and their 95th percentile.
fn gaps(pictures: &[f64]) -> (Vec<f64>, f64) {
    let mut gaps: Vec<f64> = pictures.windows(2).map(|pair| pair[1] - pair[0]).collect();
    gaps.sort_by(f64::total_cmp);
    let slow = gaps.get(gaps.len() * 95 / 100).copied().unwrap_or(f64::NAN);
    (gaps, slow)
}

/// What a search by rules takes, and how its tree scrolls.
fn rule_search(page: &Page, server: &Server) -> Outcome {
    let query = "?lab=link#engine=cpu&speed=max";
    open_paused(page, server, query)?;
    // The models are fetched first, and once: a search in the time that its steps take.
    let watch = "const [button] = arguments; window.searched = null; const began = performance.now();
        const told = () => document.querySelector('td[data-key=delta]');
        let begun = !told();
        const look = () => {
            begun ||= !told();
            if (begun && told()) window.searched = (performance.now() - began) / 1000;
            else requestAnimationFrame(look);
        };
        document.querySelector(button).click(); look()";
    let search = |button: &str, what: &str, budget: Option<f64>| -> Outcome {
        page.script(watch, json!([button]))?;
        let seconds = page.eventually(RUN, "end of the search", || {
            sleep(Duration::from_millis(200));
            Ok(Some(page.script("return window.searched", json!([]))?).filter(Value::is_number))
        })?;
        let seconds = number(&seconds);
        let budget = budget.map(|most| (most.to_string(), seconds <= most));
        row(what, &format!("{seconds:.2}"), budget.as_ref().map(|(words, met)| (words.as_str(), *met)), query);
        Ok(())
    };
    search(".play", "a search and all that is told of it, models fetched with it, s", None)?;
    search("[aria-label=Restart]", "the same again, s", Some(1.0))?;

    open_paused(page, server, query)?;
    let began = std::time::Instant::now();
    page.find_prefix("button", "Search all rules")?.click()?;
    let all =
        "return document.querySelectorAll('#menu tbody tr').length === 24 && !document.querySelector('.rail progress')";
    page.eventually(RUN, "all rules", || Ok((page.script(all, json!([]))? == json!(true)).then_some(())))?;
    let seconds = began.elapsed().as_secs_f64();
    row("all 24 rules of the menu, s", &format!("{seconds:.1}"), Some(("30", seconds <= 30.0)), query);

    let query = "?lab=link#engine=cpu&speed=max&beam=64&values=24&calls=8&temperature=2&critic=world";
    open_paused(page, server, query)?;
    search(".play", "a search of thousands of values, s", None)?;
    let nodes = page.script("return Number(document.querySelector('.tree-view').dataset.nodes)", json!([]))?;
    let scroll = "const tree = document.querySelector('.tree-view'); tree.scrollIntoView({ block: 'center' });
        window.seen.pictures.length = 0;
        const roll = () => { tree.scrollTop = (tree.scrollTop + 37) % (tree.scrollHeight - tree.clientHeight); requestAnimationFrame(roll); };
        roll()";
    page.script(scroll, json!([]))?;
    sleep(WATCHED);
    let pictures = page.script("return window.seen.pictures", json!([]))?;
    let pictures: Vec<f64> = list(&pictures).iter().map(number).collect();
    let (_, slow) = gaps(&pictures);
    let what = format!("between two pictures while a tree of {nodes} nodes scrolls, 95th percentile, ms");
    row(&what, &format!("{slow:.1}"), Some(("16.7", slow < 16.75)), query);
    Ok(())
}

/// Time between two pictures of the screen, and what the page's own thread spends.
fn frames(page: &Page, server: &Server) -> Outcome {
    let query = format!("?lab={FAST}#steps=5000&engine=cpu&speed=max");
    open_paused(page, server, &query)?;
    let button = page.find("button", "Play")?;
    let before = page.metrics()?;
    button.click()?;
    sleep(WATCHED);
    let after = page.metrics()?;
    let seen = page.script("return window.seen", json!([]))?;
    // A fast machine is done before.
    let steps: Vec<f64> = list(&seen["steps"]).iter().map(|step| number(&step[1])).collect();
    let (Some(begin), Some(end)) = (steps.first(), steps.last()) else { return Err("the lab did not run.".to_owned()) };
    let within = |name: &str| -> Vec<f64> {
        list(&seen[name]).iter().map(number).filter(|time| (begin..=end).contains(&time)).collect()
    };
    let (pictures, figures) = (within("pictures"), within("figures").len().max(1) as f64);
    let (gaps, slow) = gaps(&pictures);
    let tasks: Vec<f64> = list(&seen["tasks"]).iter().map(number).collect();
    let spent = |name: &str| {
        let at = |metrics: &BTreeMap<String, f64>| metrics.get(name).copied().unwrap_or(f64::NAN);
        format!("{:.1}", 1000.0 * (at(&after) - at(&before)) / figures)
    };

    row("between two pictures of the screen, median, ms", &format!("{:.1}", middle(gaps)), None, &query);
    // A sixtieth of a second, and what clocks round.
    row("the same, 95th percentile", &format!("{slow:.1}"), Some(("16.7", slow < 16.75)), &query);
    let seconds = (end - begin) / 1000.0;
    row("pictures with a new figure, a second", &format!("{:.0}", figures / seconds), None, &query);
    let budget = Some(("none", tasks.is_empty()));
    let tasks = format!("{}, {:.0}", tasks.len(), tasks.iter().sum::<f64>());
    row(&format!("tasks over 50 ms on the page's thread in {seconds:.1} s: number, ms in all"), &tasks, budget, &query);
    let spent = ["ScriptDuration", "RecalcStyleDuration", "LayoutDuration", "TaskDuration"].map(spent).join(", ");
    row("processor time of that thread, ms a new figure: scripts, styles, layout, all", &spent, None, &query);
    Ok(())
}

/// Memory before and after many restarts.
fn restarts(browser: &Browser, server: &Server) -> Outcome {
    let page = browser.page();
    let query = format!("?lab={FAST}#engine=cpu&speed=max");
    page.open(&server.address(&query))?;
    wait_for_step(&page, 100, STARTING)?;
    // Ten minutes where somebody asks for them.
    let long = std::env::var_os("HT_BENCH_LONG").is_some();
    let (pause, time) = if long { (12_000, "ten minutes") } else { (1_200, "a minute") };
    let first = memory(browser)?;
    for _ in 0..RESTARTS {
        page.find("button", "Restart")?.click()?;
        sleep(Duration::from_millis(pause));
    }
    for ((what, first), (_, last)) in first.into_iter().zip(memory(browser)?) {
        let value = match (first, last) {
            (Some(first), Some(last)) => format!("{first:.1}, {last:.1}"),
            _ => "n/a".to_owned(),
        };
        row(&format!("{what}, MiB: at first, after {RESTARTS} restarts in {time}"), &value, None, &query);
    }
    Ok(())
}

/// What a page and its engine hold, in MiB.
fn memory(browser: &Browser) -> Outcome<[(&'static str, Option<f64>); 3]> {
    let page = browser.page();
    page.collect()?;
    // Whoever imports the page's module again gets the one that runs.
    let module = "const script = document.querySelector('script[data-js]');
        return import(new URL(script.dataset.js, document.baseURI).href)
            .then((module) => module.default()).then((exports) => exports.memory.buffer.byteLength)";
    let mib = |bytes: f64| bytes / f64::from(1 << 20);
    Ok([
        ("scripts of the page", page.metrics()?.get("JSHeapUsedSize").copied().map(mib)),
        ("WebAssembly of the page", page.script(module, json!([]))?.as_f64().map(mib)),
        ("the process of page and engine", browser.resident().map(|bytes| mib(bytes as f64))),
    ])
}

/// First paint and first loss, in browsers that know nothing and then in the same ones again.
fn starts(server: &Server) -> Outcome {
    let lab = format!("?lab={FAST}");
    let card = format!("document.querySelector('.card a[href$=\"{lab}\"]')");
    let (mut cold, mut warm, mut slow) = ([vec![], vec![]], [vec![], vec![]], vec![]);
    let runs = format!("return Boolean({card}) && document.querySelector('.hero progress')?.value > 0");
    let click = format!("const now = performance.now(); {card}.click(); return now");
    // From the home page, where a lab runs already, so that everything is in the cache.
    let clicked = |page: &Page, slower: f64| -> Outcome<f64> {
        page.eventually(STARTING, "running lab on the home page", || {
            Ok((page.script(&runs, json!([]))? == json!(true)).then_some(()))
        })?;
        page.script(WATCH, json!([]))?;
        page.slow_down(slower)?;
        let clicked = number(&page.script(&click, json!([]))?);
        let time = first_step(page)? - clicked;
        page.slow_down(1.0)?;
        Ok(time)
    };
    for _ in 0..STARTS {
        let browser = Browser::start(Look::default())?;
        let page = browser.page();
        page.open(&server.address(&lab))?;
        page.script(WATCH, json!([]))?;
        cold[1].push(first_step(&page)?);
        cold[0].push(first_paint(&page)?);

        page.open(&server.address(""))?;
        warm[0].push(first_paint(&page)?);
        warm[1].push(clicked(&page, 1.0)?);
        page.open(&server.address(""))?;
        slow.push(clicked(&page, 4.0)?);
    }
    let [cold_paint, cold_step] = cold.map(middle);
    let [warm_paint, warm_step] = warm.map(middle);
    row("first paint of a lab's page, nothing cached, ms", &format!("{cold_paint:.0}"), None, &lab);
    row("first loss there, since its address was entered, nothing cached, ms", &format!("{cold_step:.0}"), None, &lab);
    row("first paint of the home page, cached, ms", &format!("{warm_paint:.0}"), None, "/");
    let budget = Some(("1000", warm_step <= 1000.0));
    row("first loss after a click there on a lab's card, cached, ms", &format!("{warm_step:.0}"), budget, "/");
    let slow = middle(slow);
    let budget = Some(("3000", slow <= 3000.0));
    row("the same with the page's thread four times slower, ms", &format!("{slow:.0}"), budget, "/");
    Ok(())
}

/// When the page was painted first, in milliseconds since it was asked for.
fn first_paint(page: &Page) -> Outcome<f64> {
    let paint = "return performance.getEntriesByName('first-contentful-paint')[0]?.startTime";
    page.eventually(STARTING, "first paint", || Ok(page.script(paint, json!([]))?.as_f64()))
}

/// When the page showed a step first, on the same clock.
fn first_step(page: &Page) -> Outcome<f64> {
    let first = "return window.seen.steps[0]?.[1]";
    page.eventually(STARTING, "first step", || Ok(page.script(first, json!([]))?.as_f64()))
}

/// What a step asks of the device, alone with its figures and the state that is kept of it, and in a batch whose runs share
/// tensors. How long that takes, a program that plays the graphics card cannot tell.
fn dispatches(server: &Server) -> Outcome {
    let browser = Browser::start(Look { webgpu: true, ..Look::default() })?;
    let page = browser.page();
    page.before(COUNT)?;
    for setting in ["fourier-head-draw#", "fourier-head-draw#samples=64&", "fourier-head#", "induction#"] {
        let query = format!("?lab={setting}engine=gpu");
        open_paused(&page, server, &query)?;
        let button = page.find("button", "One step")?;
        let mut counts = [[0.0; 5]; 3];
        for done in 1..=3 {
            button.click()?;
            page.eventually(RUN, &format!("step {done}"), || Ok((step(&page)? == done).then_some(())))?;
            // The state comes after the figures.
            sleep(Duration::from_secs(2));
            counts[done as usize - 1] = asked(&page)?;
        }
        counted("a step", &query, counts[1], counts[2], 1.0);
    }
    let small = "batch=8&tested=32&item_width=15&slots=17&pairs=4&width=16&steps=50";
    for (runs, query) in [(4, "across=zipf&upward=zipf"), (16, "across=noise&upward=zipf")] {
        let query = format!("?lab=induction#{query}&{small}&engine=gpu");
        open_paused(&page, server, &query)?;
        let before = asked(&page)?;
        page.find_prefix("button", "Fill the map")?.click()?;
        page.eventually(RUN, "runs of the map", || Ok(page.text()?.contains("Open one of these runs").then_some(())))?;
        counted(&format!("a step of {runs} runs in a batch"), &query, before, asked(&page)?, 50.0);
    }
    Ok(())
}

/// Dispatches, submissions, readings, bytes written and read so far, by all workers of the page together.
fn asked(page: &Page) -> Outcome<[f64; 5]> {
    let ask = "const channel = new BroadcastChannel('counts'), sum = {};
        channel.onmessage = ({ data }) => { for (const [name, count] of Object.entries(data)) sum[name] = (sum[name] ?? 0) + count; };
        channel.postMessage('ask');
        return new Promise((done) => setTimeout(() => done(sum), 1000))";
    let sum = page.script(ask, json!([]))?;
    Ok(["dispatches", "submissions", "readings", "written", "read"].map(|name| number(&sum[name])))
}

/// Two rows: what was asked for between two counts, for one of so many steps.
fn counted(what: &str, query: &str, before: [f64; 5], after: [f64; 5], steps: f64) {
    let [dispatches, submissions, readings, written, read] =
        std::array::from_fn(|count| (after[count] - before[count]) / steps);
    let value = format!("{dispatches:.0}, {submissions:.1}, {readings:.1}");
    row(&format!("{what}: dispatches, submissions, readings"), &value, None, query);
    row(&format!("{what}: KiB written, read"), &format!("{:.0}, {:.0}", written / 1024.0, read / 1024.0), None, query);
}

/// Steps of a tab that is seen, and of the same tab behind another.
fn hidden(server: &Server) -> Outcome {
    let browser = Browser::start(Look { slow_unseen: true, ..Look::default() })?;
    let page = browser.page();
    for (speed, name) in [("1", "at 60 a second"), ("max", "flat out")] {
        let query = format!("?lab={LONG}#steps=20000&engine=cpu&speed={speed}");
        open_paused(&page, server, &query)?;
        page.find("button", "Play")?.click()?;
        wait_for_step(&page, 5, STARTING)?;
        let seen = steps_while(&page, || {
            sleep(WATCHED);
            Ok(())
        })?;
        let unseen = steps_while(&page, || {
            let there = page.cover()?;
            sleep(WATCHED);
            page.uncover(&there)
        })?;
        let flips = page.script("return window.seen.flips", json!([]))?;
        let apart = number(&flips[1][1]) - number(&flips[0][1]);
        // A busy browser says late that it hid the page.
        if flips[0][0] != json!(true) || apart < 900.0 * WATCHED.as_secs_f64() {
            return Err(format!("the page was not hidden behind another: {flips}"));
        }
        let budget = Some(("hidden ≥ 0.9 seen", unseen >= 0.9 * seen));
        row(&format!("steps in 5 s {name}: seen, hidden"), &format!("{seen:.0}, {unseen:.0}"), budget, &query);
    }
    Ok(())
}

/// Steps in [`WATCHED`] while something goes on that takes about so long.
fn steps_while(page: &Page, meanwhile: impl FnOnce() -> Outcome) -> Outcome<f64> {
    let now = || -> Outcome<(f64, f64)> {
        let time = number(&page.script("return performance.now()", json!([]))?);
        Ok((step(page)? as f64, time))
    };
    let (first, begin) = now()?;
    meanwhile()?;
    let (last, end) = now()?;
    Ok((last - first) / (end - begin) * 1000.0 * WATCHED.as_secs_f64())
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}
