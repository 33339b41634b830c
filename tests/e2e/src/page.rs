//! A page, through its accessibility tree: what a screen reader cannot find, no test finds.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::{Browser, Outcome, doing};

/// How long a person would wait before calling it broken.
const PATIENCE: Duration = Duration::from_secs(20);

/// WebDriver's name for a reference to an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

#[derive(Clone, Copy)]
pub struct Page<'b> {
    browser: &'b Browser,
}

pub struct Element<'b> {
    browser: &'b Browser,
    id: String,
    pub name: String,
}

impl<'b> Page<'b> {
    pub(crate) fn new(browser: &'b Browser) -> Self {
        Self { browser }
    }

    /// Opens an address as in a fresh tab: one that differs only behind `#` is loaded all the same.
    ///
    /// # Errors
    ///
    /// When the browser cannot load it.
    pub fn open(&self, address: &str) -> Outcome {
        self.browser.post("/url", &json!({ "url": "about:blank" }))?;
        self.browser.post("/url", &json!({ "url": address }))?;
        Ok(())
    }

    /// # Errors
    ///
    /// When the browser is gone.
    pub fn address(&self) -> Outcome<String> {
        Ok(self.browser.get("/url")?.as_str().unwrap_or_default().to_owned())
    }

    /// Every element of this role that is in the accessibility tree.
    ///
    /// # Errors
    ///
    /// When the browser is gone.
    pub fn all(&self, role: &str) -> Outcome<Vec<Element<'b>>> {
        let root = self.browser.cdp("DOM.getDocument", json!({ "depth": 0 }))?["root"]["nodeId"].take();
        let mut tree = match self.browser.cdp("Accessibility.queryAXTree", json!({ "nodeId": root, "role": role })) {
            // Another document has come between the two questions.
            Err(problem) if problem.contains("Could not find node") => return Ok(vec![]),
            answer => answer?,
        };
        let Value::Array(nodes) = tree["nodes"].take() else { return Ok(vec![]) };
        let mut elements = Vec::new();
        for node in nodes.iter().filter(|node| node["ignored"] != json!(true)) {
            let name = node["name"]["value"].as_str().unwrap_or_default().to_owned();
            // A node that left the page meanwhile is not there any more, which is no error.
            if let Ok(id) = self.element(&node["backendDOMNodeId"]) {
                elements.push(Element { browser: self.browser, id, name });
            }
        }
        Ok(elements)
    }

    /// The element with this role and name, as soon as there is one.
    ///
    /// # Errors
    ///
    /// When none has come within the time that a person would wait.
    pub fn find(&self, role: &str, name: &str) -> Outcome<Element<'b>> {
        self.find_where(role, &format!("called \"{name}\""), |found| found == name)
    }

    /// The element with this role whose name begins so: for names that go on with something live.
    ///
    /// # Errors
    ///
    /// As [`Page::find`].
    pub fn find_prefix(&self, role: &str, start: &str) -> Outcome<Element<'b>> {
        self.find_where(role, &format!("whose name begins with \"{start}\""), |found| found.starts_with(start))
    }

    fn find_where(&self, role: &str, what: &str, fits: impl Fn(&str) -> bool) -> Outcome<Element<'b>> {
        let found = self.eventually(PATIENCE, &format!("{role} {what}"), || {
            Ok(self.all(role)?.into_iter().find(|element| fits(element.name.trim())))
        });
        found.map_err(|problem| {
            let names: Vec<String> =
                self.all(role).unwrap_or_default().into_iter().map(|element| element.name).collect();
            format!("{problem} There are: {names:?}. The page says: {}", self.text().unwrap_or_default())
        })
    }

    /// Asks again until there is an answer.
    ///
    /// # Errors
    ///
    /// When there is none in time, or asking fails.
    pub fn eventually<T>(
        &self,
        patience: Duration,
        what: &str,
        mut ask: impl FnMut() -> Outcome<Option<T>>,
    ) -> Outcome<T> {
        let start = Instant::now();
        loop {
            if let Some(answer) = ask()? {
                return Ok(answer);
            }
            if start.elapsed() > patience {
                return Err(format!("no {what} within {} s.", patience.as_secs()));
            }
            sleep(Duration::from_millis(50));
        }
    }

    /// Presses keys, one after the other: characters, or names such as `Tab`, `Enter`, `ArrowRight`, `Shift+Tab`.
    ///
    /// # Errors
    ///
    /// When a key has no such name.
    pub fn press(&self, keys: &[&str]) -> Outcome {
        let mut actions = Vec::new();
        for combination in keys {
            let parts = combination.split('+').filter(|part| !part.is_empty());
            let parts = parts.map(key).collect::<Outcome<Vec<_>>>()?;
            actions.extend(parts.iter().map(|key| json!({ "type": "keyDown", "value": key })));
            actions.extend(parts.iter().rev().map(|key| json!({ "type": "keyUp", "value": key })));
        }
        self.browser
            .post("/actions", &json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": actions }] }))?;
        Ok(())
    }

    /// What has the focus: its role and name.
    ///
    /// # Errors
    ///
    /// When the browser is gone.
    pub fn focused(&self) -> Outcome<(String, String)> {
        let element = self.browser.get("/element/active")?;
        let id = element[ELEMENT].as_str().ok_or("nothing has the focus.")?;
        let ask = |what: &str| -> Outcome<String> {
            Ok(self.browser.get(&format!("/element/{id}/{what}"))?.as_str().unwrap_or_default().to_owned())
        };
        Ok((ask("computedrole")?, ask("computedlabel")?))
    }

    /// Gives a file to the field with this id, as a reader does who chooses one.
    ///
    /// # Errors
    ///
    /// When there is no such field.
    pub fn choose_file(&self, field: &str, file: &Path) -> Outcome {
        let found = self.browser.post("/element", &json!({ "using": "css selector", "value": format!("#{field}") }))?;
        let id = found[ELEMENT].as_str().ok_or("no such field.")?;
        self.browser.post(&format!("/element/{id}/value"), &json!({ "text": file.display().to_string() }))?;
        Ok(())
    }

    /// Turns to the frame with this number, or back to the whole page.
    ///
    /// # Errors
    ///
    /// When there is no such frame.
    pub fn frame(&self, number: Option<usize>) -> Outcome {
        self.browser.post("/frame", &json!({ "id": number }))?;
        Ok(())
    }

    /// Hides this page behind a new window; gives what [`uncover`](Self::uncover) takes.
    ///
    /// # Errors
    ///
    /// When the browser opens no window.
    pub fn cover(&self) -> Outcome<(String, String)> {
        let here = self.browser.get("/window")?.as_str().unwrap_or_default().to_owned();
        let new = self.browser.post("/window/new", &json!({ "type": "tab" }))?;
        let new = new["handle"].as_str().unwrap_or_default().to_owned();
        self.browser.post("/window", &json!({ "handle": new }))?;
        Ok((here, new))
    }

    /// Comes back to a page that was hidden.
    ///
    /// # Errors
    ///
    /// When it is gone.
    pub fn uncover(&self, (here, new): &(String, String)) -> Outcome {
        self.browser.post("/window", &json!({ "handle": new }))?;
        self.browser.delete("/window")?;
        self.browser.post("/window", &json!({ "handle": here }))?;
        Ok(())
    }

    /// What stands on the page.
    ///
    /// # Errors
    ///
    /// When the browser is gone.
    pub fn text(&self) -> Outcome<String> {
        Ok(self.script("return document.body.innerText", json!([]))?.as_str().unwrap_or_default().to_owned())
    }

    /// # Errors
    ///
    /// When the script throws.
    pub fn script(&self, text: &str, arguments: Value) -> Outcome<Value> {
        self.browser.post("/execute/sync", &json!({ "script": text, "args": arguments }))
    }

    /// Says for every page to come whether the reader asks for little motion.
    ///
    /// # Errors
    ///
    /// When the browser cannot.
    pub fn reduce_motion(&self, on: bool) -> Outcome {
        let value = if on { "reduce" } else { "no-preference" };
        let feature = json!({ "name": "prefers-reduced-motion", "value": value });
        self.browser.cdp("Emulation.setEmulatedMedia", json!({ "features": [feature] }))?;
        Ok(())
    }

    /// What the page, its workers or the browser on their behalf complained about since the last call.
    ///
    /// # Errors
    ///
    /// When the browser is gone.
    pub fn console_errors(&self) -> Outcome<Vec<String>> {
        let entries = self.browser.post("/se/log", &json!({ "type": "browser" }))?;
        let entries = entries.as_array().map(Vec::as_slice).unwrap_or_default();
        let severe = entries.iter().filter(|entry| entry["level"] == "SEVERE");
        Ok(severe.filter_map(|entry| entry["message"].as_str()).map(str::to_owned).collect())
    }

    /// What Chromium counts of the page, by its own names. Times are in seconds of processor time on the page's thread,
    /// workers not included.
    ///
    /// # Errors
    ///
    /// When the browser is gone.
    pub fn metrics(&self) -> Outcome<BTreeMap<String, f64>> {
        self.browser.cdp("Performance.enable", json!({ "timeDomain": "threadTicks" }))?;
        let found = self.browser.cdp("Performance.getMetrics", json!({}))?;
        let each = found["metrics"].as_array().into_iter().flatten();
        Ok(each.filter_map(|one| Some((one["name"].as_str()?.to_owned(), one["value"].as_f64()?))).collect())
    }

    /// Runs a script in every page from now on, before its own.
    ///
    /// # Errors
    ///
    /// When the browser is gone.
    pub fn before(&self, script: &str) -> Outcome {
        self.browser.cdp("Page.addScriptToEvaluateOnNewDocument", json!({ "source": script }))?;
        Ok(())
    }

    /// Lets the page's own thread be so many times slower than the machine.
    ///
    /// # Errors
    ///
    /// When the browser is gone.
    pub fn slow_down(&self, times: f64) -> Outcome {
        self.browser.cdp("Emulation.setCPUThrottlingRate", json!({ "rate": times }))?;
        Ok(())
    }

    /// Frees what no script can reach any more, so that memory can be compared.
    ///
    /// # Errors
    ///
    /// When the browser is gone.
    pub fn collect(&self) -> Outcome {
        self.browser.cdp("HeapProfiler.collectGarbage", json!({}))?;
        Ok(())
    }

    /// Draws the page in a window of this width, whole, into a PNG file.
    ///
    /// # Errors
    ///
    /// When the browser cannot, or the file cannot be written.
    pub fn screenshot(&self, width: u32, height: u32, file: &Path) -> Outcome {
        let bytes = self.shot(width, height, true)?;
        let folder = file.parent().unwrap_or(file);
        fs::create_dir_all(folder).and_then(|()| fs::write(file, bytes)).or_else(doing(file.display()))
    }

    /// What a window of this size shows, as a PNG file.
    ///
    /// # Errors
    ///
    /// When the browser cannot.
    pub fn view(&self, width: u32, height: u32) -> Outcome<Vec<u8>> {
        self.shot(width, height, false)
    }

    fn shot(&self, width: u32, height: u32, whole: bool) -> Outcome<Vec<u8>> {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.browser.cdp("Emulation.setDeviceMetricsOverride", metrics)?;
        // Charts are drawn anew for the width that they get.
        sleep(Duration::from_millis(700));
        let how = json!({ "format": "png", "captureBeyondViewport": whole });
        let shot = self.browser.cdp("Page.captureScreenshot", how)?;
        BASE64_STANDARD.decode(shot["data"].as_str().unwrap_or_default()).or_else(doing("the screenshot"))
    }

    /// Turns a node of the accessibility tree into an element that WebDriver can act on.
    fn element(&self, node: &Value) -> Outcome<String> {
        let mut resolved = self.browser.cdp("DOM.resolveNode", json!({ "backendNodeId": node }))?;
        let object = resolved["object"]["objectId"].take();
        let hand_over = "function () { globalThis.__found = this.nodeType === 1 ? this : this.parentElement; }";
        self.browser.cdp("Runtime.callFunctionOn", json!({ "objectId": object, "functionDeclaration": hand_over }))?;
        let found = self.script("return globalThis.__found", json!([]))?;
        found[ELEMENT].as_str().map(str::to_owned).ok_or_else(|| "the element is gone.".to_owned())
    }
}

impl Element<'_> {
    /// Clicks it where a person would; fails if something covers it.
    ///
    /// # Errors
    ///
    /// When it cannot be clicked.
    pub fn click(&self) -> Outcome {
        self.browser.post(&format!("/element/{}/click", self.id), &json!({}))?;
        Ok(())
    }

    /// Gives it the focus, as somebody has who came to it by keys.
    ///
    /// # Errors
    ///
    /// When it is gone.
    pub fn focus(&self) -> Outcome {
        let element = json!([{ ELEMENT: self.id }]);
        self.browser.post("/execute/sync", &json!({ "script": "arguments[0].focus()", "args": element })).map(drop)
    }

    /// Types into it.
    ///
    /// # Errors
    ///
    /// When it takes no text.
    pub fn write(&self, text: &str) -> Outcome {
        self.browser.post(&format!("/element/{}/value", self.id), &json!({ "text": text }))?;
        Ok(())
    }

    /// What can be read in it.
    ///
    /// # Errors
    ///
    /// When it is gone.
    pub fn text(&self) -> Outcome<String> {
        Ok(self.browser.get(&format!("/element/{}/text", self.id))?.as_str().unwrap_or_default().to_owned())
    }

    /// # Errors
    ///
    /// When it is gone.
    pub fn attribute(&self, name: &str) -> Outcome<Option<String>> {
        Ok(self.browser.get(&format!("/element/{}/attribute/{name}", self.id))?.as_str().map(str::to_owned))
    }

    /// Everything that is drawn in it, as text: two equal ones look the same.
    ///
    /// # Errors
    ///
    /// When it is gone.
    pub fn drawing(&self) -> Outcome<String> {
        let element = json!([{ ELEMENT: self.id }]);
        let inner = self
            .browser
            .post("/execute/sync", &json!({ "script": "return arguments[0].innerHTML", "args": element }))?;
        Ok(inner.as_str().unwrap_or_default().to_owned())
    }
}

/// WebDriver's code points for the keys that print nothing.
fn key(name: &str) -> Outcome<String> {
    let code = match name {
        "Enter" => '\u{e007}',
        "Escape" => '\u{e00c}',
        "Tab" => '\u{e004}',
        "Space" => ' ',
        "Shift" => '\u{e008}',
        "Control" => '\u{e009}',
        "Alt" => '\u{e00a}',
        "PageUp" => '\u{e00e}',
        "PageDown" => '\u{e00f}',
        "End" => '\u{e010}',
        "Home" => '\u{e011}',
        "ArrowLeft" => '\u{e012}',
        "ArrowUp" => '\u{e013}',
        "ArrowRight" => '\u{e014}',
        "ArrowDown" => '\u{e015}',
        "Delete" => '\u{e017}',
        _ => {
            let mut letters = name.chars();
            return match (letters.next(), letters.next()) {
                (Some(letter), None) => Ok(letter.to_string()),
                _ => Err(format!("no key is called {name}.")),
            };
        }
    };
    Ok(code.to_string())
}
