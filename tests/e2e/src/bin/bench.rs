//! What the built site weighs and how fast it is, as the rows of a Markdown table: `bench <site>`.

use std::path::Path;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use e2e::{Browser, Look, Outcome, Page, STARTING, Server, step, wait_for_step};
use serde_json::json;

const LABS: [(&str, u64); 5] = [
    ("fourier-head-draw", 600),
    ("fourier-head", 3000),
    ("fourier-head-random", 600),
    ("fourier-head-series", 1200),
    ("fourier-head-own", 1500),
];

fn main() -> ExitCode {
    let outcome = match std::env::args().nth(1) {
        Some(site) => measure(Path::new(&site)),
        None => Err("usage: bench <site>".to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

fn row(what: &str, value: &str, budget: &str) {
    println!("| {what} | {value} | {budget} |");
}

fn measure(site: &Path) -> Outcome {
    let server = Server::start(site)?;
    let browser = Browser::start(Look::default())?;
    let page = browser.page();
    starts(&page, &server)?;
    for (lab, steps) in LABS {
        page.open(&server.address(&format!("?lab={lab}#engine=cpu&speed=max")))?;
        let first = wait_for_step(&page, 1, STARTING)?;
        let start = Instant::now();
        wait_for_step(&page, steps, Duration::from_secs(120))?;
        let rate = (steps - first) as f64 / start.elapsed().as_secs_f64();
        row(&format!("`{lab}`, steps a second in the CPU engine"), &format!("{rate:.0}"), "");
    }
    frames(&page, &server)?;
    hidden(&page, &server)?;
    restarts(&page, &server)
}

/// From a click on a card to the first step that is seen, in a page that has loaded the engine before.
fn starts(page: &Page, server: &Server) -> Outcome {
    page.open(&server.address(""))?;
    wait_for_step(page, 0, STARTING)?;
    page.find_prefix("link", "Draw a distribution")?;
    sleep(Duration::from_secs(3));
    let paint = "return performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? -1";
    let paint = page.script(paint, json!([]))?.as_f64().unwrap_or(-1.0);
    row("first paint of the home page, nothing cached, ms", &format!("{paint:.0}"), "");
    let watch = "const start = performance.now(); window.first = null;
        [...document.querySelectorAll('a')].find((a) => a.textContent === 'Draw a distribution').click();
        const look = () => { const count = document.getElementById('count');
            if (count && Number(count.textContent) >= 1) window.first = performance.now() - start; else requestAnimationFrame(look); };
        requestAnimationFrame(look);";
    page.script(watch, json!([]))?;
    let first =
        page.eventually(STARTING, "first step", || Ok(page.script("return window.first", json!([]))?.as_f64()))?;
    row("from a click on a card to the first loss, engine cached, ms", &format!("{first:.0}"), "1500");
    Ok(())
}

/// Time between two pictures of the screen, and what the page's own thread spends, while a lab trains flat out.
fn frames(page: &Page, server: &Server) -> Outcome {
    page.open(&server.address("?lab=fourier-head-draw#steps=5000&engine=cpu&speed=max"))?;
    wait_for_step(page, 10, STARTING)?;
    let watch = "window.gaps = []; window.long = 0; let last = performance.now();
        new PerformanceObserver((list) => { window.long += list.getEntries().length; }).observe({ entryTypes: ['longtask'] });
        const tick = (now) => { window.gaps.push(now - last); last = now; requestAnimationFrame(tick); }; requestAnimationFrame(tick);";
    page.script(watch, json!([]))?;
    sleep(Duration::from_secs(3));
    let read = "const gaps = window.gaps.slice(1).sort((a, b) => a - b);
        return [gaps[gaps.length >> 1], gaps[Math.floor(gaps.length * 0.95)], window.long]";
    let found = page.script(read, json!([]))?;
    let number = |index: usize| found[index].as_f64().unwrap_or(-1.0);
    row("time between two pictures while training flat out, median ms", &format!("{:.1}", number(0)), "");
    row("the same, 95th percentile, ms", &format!("{:.1}", number(1)), "16.7");
    row("tasks over 50 ms on the page's thread, in 3 s", &format!("{:.0}", number(2)), "");
    Ok(())
}

/// Steps in five seconds of a tab that is seen and of one that is not.
fn hidden(page: &Page, server: &Server) -> Outcome {
    let address = server.address("?lab=fourier-head#steps=20000&engine=cpu&speed=1");
    let mut counts = Vec::new();
    for hide in [false, true] {
        page.open(&address)?;
        wait_for_step(page, 5, STARTING)?;
        let before = step(page)?;
        let there = if hide { Some(page.cover()?) } else { None };
        sleep(Duration::from_secs(5));
        if let Some(window) = there {
            page.uncover(&window)?;
            sleep(Duration::from_millis(200));
        }
        counts.push(step(page)? - before);
    }
    row("steps in 5 s at 60 a second: seen, and hidden", &format!("{}, {}", counts[0], counts[1]), "alike");
    Ok(())
}

/// Memory of the page before and after fifty restarts.
fn restarts(page: &Page, server: &Server) -> Outcome {
    page.open(&server.address("?lab=fourier-head-draw#engine=cpu&speed=max"))?;
    wait_for_step(page, 100, STARTING)?;
    let memory = "return performance.memory.usedJSHeapSize / 1048576";
    let used = |page: &Page| Ok::<f64, String>(page.script(memory, json!([]))?.as_f64().unwrap_or(-1.0));
    let before = used(page)?;
    // Ten minutes where somebody asks for them.
    let pause = if std::env::var_os("HT_BENCH_LONG").is_some() { 12_000 } else { 800 };
    for _ in 0..50 {
        page.find("button", "Restart")?.click()?;
        sleep(Duration::from_millis(pause));
    }
    row("script memory of the page, MB: at first, after 50 restarts", &format!("{before:.1}, {:.1}", used(page)?), "");
    Ok(())
}
