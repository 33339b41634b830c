//! One visit to the built site, and what tests read on its pages.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use crate::{Browser, Look, Outcome, Page, Server, built_site};

/// An engine must load, compile and start before the first figure; on a busy machine that takes its time.
pub const STARTING: Duration = Duration::from_secs(60);

/// A site, a browser, and the promise that every page in it must keep.
pub struct Visit {
    pub server: Server,
    pub browser: Browser,
}

impl Visit {
    /// Nothing where no site was built.
    ///
    /// # Errors
    ///
    /// When server or browser do not start.
    pub fn start(look: Look) -> Outcome<Option<Self>> {
        let Some(site) = built_site() else { return Ok(None) };
        Ok(Some(Self { server: Server::start(&site)?, browser: Browser::start(look)? }))
    }

    /// # Errors
    ///
    /// When the browser cannot load it.
    pub fn open(&self, address: &str) -> Outcome<Page<'_>> {
        let page = self.browser.page();
        page.open(&self.server.address(address))?;
        Ok(page)
    }

    /// No complaint in the console, and no request to anyone else, from the page or its workers.
    ///
    /// # Errors
    ///
    /// When the browser cannot be ended.
    ///
    /// # Panics
    ///
    /// When it was broken.
    pub fn end(self) -> Outcome {
        self.end_beside(&[])
    }

    /// The same where these origins were to be asked too.
    ///
    /// # Errors
    ///
    /// As [`end`](Self::end).
    ///
    /// # Panics
    ///
    /// As [`end`](Self::end).
    pub fn end_beside(self, others: &[&str]) -> Outcome {
        let errors = self.browser.page().console_errors()?;
        assert!(errors.is_empty(), "the console complains: {errors:#?}");
        let asked = self.browser.close()?;
        assert!(asked.len() > 3, "the network record holds too little to mean anything: {asked:?}");
        let known = |address: &String| {
            std::iter::once(&self.server.origin()).chain(others).any(|origin| address.starts_with(origin))
        };
        let elsewhere: Vec<_> = asked.iter().filter(|address| !known(address)).collect();
        assert!(elsewhere.is_empty(), "other origins were asked: {elsewhere:?}");
        Ok(())
    }
}

/// The step that the page shows.
///
/// # Errors
///
/// When the browser is gone, or it does not come.
pub fn step(page: &Page) -> Outcome<u64> {
    let shown = page.script("return document.getElementById('count')?.textContent ?? ''", json!([]))?;
    Ok(shown.as_str().and_then(|text| text.trim().parse().ok()).unwrap_or(0))
}

/// The step that the page shows, once it is at least this.
///
/// # Errors
///
/// When the browser is gone, or it does not come.
pub fn wait_for_step(page: &Page, least: u64, patience: Duration) -> Outcome<u64> {
    let found =
        page.eventually(patience, &format!("step {least}"), || Ok(Some(step(page)?).filter(|step| *step >= least)));
    found.map_err(|problem| format!("{problem} The page says: {}", page.text().unwrap_or_default()))
}

/// Each panel by its name, with all that is drawn and written in it.
///
/// # Errors
///
/// When the browser is gone, or it does not come.
pub fn panels(page: &Page) -> Outcome<Vec<(String, String)>> {
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
///
/// # Errors
///
/// When the browser is gone, or it does not come.
pub fn end_of_run(page: &Page, steps: u64) -> Outcome<Vec<(String, String)>> {
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

/// The exact numbers of the page's read-outs, by their keys.
///
/// # Errors
///
/// When there are none.
pub fn readouts(page: &Page) -> Outcome<BTreeMap<String, f64>> {
    let read = "return Object.fromEntries([...document.querySelectorAll('td[data-key]')]
        .filter((cell) => cell.dataset.value).map((cell) => [cell.dataset.key, Number(cell.dataset.value)]))";
    let found = page.script(read, json!([]))?;
    let numbers = found.as_object().into_iter().flatten();
    let numbers: BTreeMap<String, f64> =
        numbers.filter_map(|(key, value)| Some((key.clone(), value.as_f64()?))).collect();
    if numbers.is_empty() { Err("no read-outs on the page".to_owned()) } else { Ok(numbers) }
}
