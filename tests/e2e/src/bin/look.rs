//! Screenshots of every page, for whoever reviews a change: `look <site> <folder>`.

use std::path::Path;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

use e2e::{Browser, Look, Outcome, Server};
use serde_json::json;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.as_slice() {
        [site, folder] => take(Path::new(site), Path::new(folder)),
        _ => Err("usage: look <site> <folder>".to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

fn take(site: &Path, folder: &Path) -> Outcome {
    let server = Server::start(site)?;
    let browser = Browser::start(Look::default())?;
    let page = browser.page();
    page.open(&server.address(""))?;
    page.find_prefix("heading", "")?;
    let script = "return [...new Set([...document.querySelectorAll('a[href*=\"lab=\"]')].map((a) => new URL(a.href).searchParams.get('lab')))]";
    let home = page.script(script, json!([]))?;
    let mut labs: Vec<String> =
        home.as_array().into_iter().flatten().filter_map(|slug| Some(slug.as_str()?.to_owned())).collect();
    // A card leads to the first lab of its paper; the others are its tabs.
    for slug in labs.clone() {
        page.open(&server.address(&format!("?lab={slug}")))?;
        page.find_prefix("heading", "")?;
        let tabs = page.script(script, json!([]))?;
        labs.extend(tabs.as_array().into_iter().flatten().filter_map(|slug| Some(slug.as_str()?.to_owned())));
    }
    labs.sort();
    labs.dedup();
    let pages = std::iter::once(("home".to_owned(), "?".to_owned()))
        .chain(labs.into_iter().map(|slug| (slug.clone(), format!("?lab={slug}&"))));
    for (name, query) in pages {
        for theme in ["light", "dark"] {
            page.open(&server.address(&format!("{query}theme={theme}")))?;
            page.find_prefix("heading", "")?;
            // Long enough for a figure to have something to show.
            sleep(Duration::from_secs(3));
            for (width, height) in [(1280, 900), (390, 844)] {
                let file = folder.join(format!("{name}-{width}-{theme}.png"));
                page.screenshot(width, height, &file)?;
                println!("{}", file.display());
            }
        }
    }
    Ok(())
}
