//! Starts a browser through its driver and speaks WebDriver with it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{fs, thread};

use serde_json::{Value, json};

use crate::{Outcome, Page, doing};

/// The window, and what stands behind WebGPU.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    pub width: u32,
    pub height: u32,
    /// WebGPU on the processor, which is right but slow; otherwise there is no adapter at all.
    pub webgpu: bool,
    /// Slows down what is not seen, as every browser does that no program drives.
    pub slow_unseen: bool,
}

impl Default for Look {
    fn default() -> Self {
        Self { width: 1280, height: 900, webgpu: false, slow_unseen: false }
    }
}

/// A browser of its own, with an empty profile. It ends when it is dropped.
pub struct Browser {
    driver: Child,
    agent: ureq::Agent,
    session: String,
    folder: PathBuf,
}

impl Browser {
    /// # Errors
    ///
    /// When chromedriver or Chromium is missing or does not start.
    pub fn start(look: Look) -> Outcome<Self> {
        Self::drive("chromedriver", |folder| chromium(look, folder))
    }

    /// Firefox. It speaks WebDriver alone: scripts and addresses work, finding things by role does not.
    ///
    /// # Errors
    ///
    /// When geckodriver or Firefox is missing or does not start.
    pub fn firefox() -> Outcome<Self> {
        Self::drive("geckodriver", |_| {
            json!({ "capabilities": { "alwaysMatch": {
                "browserName": "firefox",
                "moz:firefoxOptions": { "args": ["-headless"] },
                "timeouts": { "script": 120_000, "pageLoad": 60_000 },
            } } })
        })
    }

    fn drive(name: &str, capabilities: impl Fn(&Path) -> Value) -> Outcome<Self> {
        let mut driver = Command::new(name)
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .or_else(doing(format!("{name} could not be started")))?;
        let port = port(&mut driver).inspect_err(|_| drop(driver.kill()))?;
        let folder = std::env::temp_dir().join(format!("heads-and-tails-{}-{port}", std::process::id()));
        // The driver answers errors with a body that says why, so a status is no reason to drop the answer.
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(300)))
            .build()
            .new_agent();
        let mut browser = Self { driver, agent, session: format!("http://127.0.0.1:{port}/session"), folder };
        let answer = browser.post("", &capabilities(&browser.folder))?;
        let id = answer["sessionId"].as_str().ok_or_else(|| format!("{name} opened no session."))?;
        browser.session = format!("{}/{id}", browser.session);
        Ok(browser)
    }

    /// The one page that it shows.
    pub fn page(&self) -> Page<'_> {
        Page::new(self)
    }

    /// Ends the browser; gives every address that a page or a worker asked it for.
    ///
    /// # Errors
    ///
    /// When the browser cannot be ended or left no record.
    pub fn close(mut self) -> Outcome<Vec<String>> {
        self.end();
        let log = fs::read_to_string(self.folder.join("net.json")).or_else(doing("the browser's network record"))?;
        Ok(requested(&log))
    }

    /// Bytes that the largest of its pages has in memory, workers included; nothing where the system does not tell as
    /// Linux does.
    pub fn resident(&self) -> Option<u64> {
        let ours = format!("--user-data-dir={}", self.folder.join("profile").display());
        let pages = fs::read_dir("/proc").ok()?.filter_map(|process| {
            let process = process.ok()?.path();
            let line = fs::read(process.join("cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line);
            let status = fs::read_to_string(process.join("status")).ok()?;
            let kib: u64 = status.split_once("VmRSS:")?.1.split_whitespace().next()?.parse().ok()?;
            (line.contains("--type=renderer") && line.contains(&ours)).then_some(kib * 1024)
        });
        pages.max()
    }

    pub(crate) fn get(&self, path: &str) -> Outcome<Value> {
        let answer = self.agent.get(format!("{}{path}", self.session)).call();
        value(path, answer)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Outcome<Value> {
        let answer = self
            .agent
            .post(format!("{}{path}", self.session))
            .header("Content-Type", "application/json")
            .send(body.to_string());
        value(path, answer)
    }

    pub(crate) fn delete(&self, path: &str) -> Outcome<Value> {
        let answer = self.agent.delete(format!("{}{path}", self.session)).call();
        value(path, answer)
    }

    /// Chromium's own protocol, for what WebDriver cannot say.
    pub(crate) fn cdp(&self, command: &str, parameters: Value) -> Outcome<Value> {
        self.post("/goog/cdp/execute", &json!({ "cmd": command, "params": parameters }))
    }

    fn end(&mut self) {
        // Orderly, or the network record stays unfinished.
        let _closed = self.agent.delete(&self.session).call();
        let _dead = self.driver.kill();
        let _ended = self.driver.wait();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.end();
        let _removed = fs::remove_dir_all(&self.folder);
    }
}

/// A Chromium that asks nobody anything by itself, and writes down what pages ask.
fn chromium(look: Look, folder: &Path) -> Value {
    let mut arguments = vec![
        "--headless=new".to_owned(),
        // The tests run as root in containers, where Chromium's sandbox cannot.
        "--no-sandbox".to_owned(),
        "--disable-dev-shm-usage".to_owned(),
        "--no-first-run".to_owned(),
        "--disable-quic".to_owned(),
        // A proxy of the machine's cannot reach the server of a test.
        "--no-proxy-server".to_owned(),
        "--disable-background-networking".to_owned(),
        "--disable-component-update".to_owned(),
        "--disable-sync".to_owned(),
        "--disable-domain-reliability".to_owned(),
        "--hide-scrollbars".to_owned(),
        format!("--window-size={},{}", look.width, look.height),
        format!("--user-data-dir={}", folder.join("profile").display()),
        format!("--log-net-log={}", folder.join("net.json").display()),
    ];
    if look.webgpu {
        arguments.extend(
            ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan"]
                .map(str::to_owned),
        );
    }
    // The driver's own, under which a hidden page would be measured as no reader has it.
    let unsaid: &[&str] = if look.slow_unseen {
        &["disable-background-timer-throttling", "disable-backgrounding-occluded-windows"]
    } else {
        &[]
    };
    json!({ "capabilities": { "alwaysMatch": {
        "browserName": "chrome",
        "goog:chromeOptions": { "args": arguments, "excludeSwitches": unsaid },
        "goog:loggingPrefs": { "browser": "ALL" },
        "timeouts": { "script": 120_000, "pageLoad": 60_000 },
    } } })
}

/// A driver takes a free port and says which.
fn port(driver: &mut Child) -> Outcome<u16> {
    let output = driver.stdout.take().ok_or("chromedriver has no output.")?;
    let mut lines = BufReader::new(output).lines();
    let port = lines.by_ref().map_while(Result::ok).find_map(|line| {
        let (_, port) =
            line.split_once("started successfully on port ").or_else(|| line.split_once("Listening on 127.0.0.1:"))?;
        port.trim_end_matches('.').parse().ok()
    });
    // It would stop at a full pipe.
    thread::spawn(move || lines.for_each(drop));
    port.ok_or_else(|| "the driver did not say on which port it listens.".to_owned())
}

fn value(path: &str, answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Outcome<Value> {
    let mut answer = answer.or_else(doing(format!("the driver, asked for {path}")))?;
    let body = answer.body_mut().with_config().limit(256 << 20).read_to_string();
    let body = body.or_else(doing("the driver's answer"))?;
    let mut body: Value = serde_json::from_str(&body).or_else(doing("the driver's answer"))?;
    let value = body["value"].take();
    match value["error"].as_str() {
        Some(error) => Err(format!("{error}: {}", value["message"].as_str().unwrap_or_default())),
        None => Ok(value),
    }
}

/// The addresses in Chromium's network record that a page or a worker asked for.
fn requested(log: &str) -> Vec<String> {
    let field = |event: &str, name: &str| {
        let (_, value) = event.split_once(&format!("\"{name}\":\""))?;
        Some(value.split('"').next()?.to_owned())
    };
    // One event stands on each line. What Chromium asks for itself comes from no origin (its updates) or from a page of its
    // own (a new tab).
    let own = |origin: &str| origin == "not an origin" || origin.starts_with("chrome://");
    let ours = log.lines().filter(|event| field(event, "initiator").is_some_and(|origin| !own(&origin)));
    let mut addresses: Vec<String> = ours.filter_map(|event| field(event, "url")).collect();
    addresses.sort();
    addresses.dedup();
    addresses
}
