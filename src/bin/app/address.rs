//! The address: what is open, and the whole state of it.
//!
//! Query: what page this is (`lab`, `embed`, `panel`, `theme`). Fragment: the lab's parameters and how it runs, so
//! that no server sees them. A key on the wrong side is read too. No router crate: there is one path, and it must
//! work under any prefix.

use heads_and_tails::drive::{Engine, Fault, Speed};
use heads_and_tails::lab::ParamProblem;
use heads_and_tails::lab::guess::Guess;
use heads_and_tails::lab::params::{RESERVED, encode, overrides_from_link, overrides_to_link, pairs};
use leptos::prelude::window;
use wasm_bindgen::JsValue;

/// What a teacher's link may say: key, what it takes, what it does. The about page shows this list.
pub const TEACHERS_KEYS: &[(&str, &str, &str)] = &[
    ("panel", "names of figures, with commas", "shows these figures alone"),
    ("hide", "names of figures, parameters or parts, with commas", "leaves them out"),
    ("lock", "names of parameters, with commas, or all", "shows them and lets nobody change them"),
    ("theme", "light or dark", "instead of what the reader’s system says"),
    ("start", "paused or click", "waits for Play; with click it loads no engine before"),
    ("embed", "1", "the figures and one bar, for a frame in another page"),
    ("compare", "parameter:value, with commas", "a second run beside the first, which differs in these"),
    ("guess", "figure:x,y;x,y", "a curve that somebody drew before the run"),
    ("speed", "slow, 1, 4 or max", "how fast steps are shown"),
    ("engine", "auto, cpu, cpu-relaxed or gpu", "what computes"),
    ("fault", "what:step", "breaks the engine on purpose, to see what happens then"),
];

/// Parts of a lab's page that `hide` knows, beside its figures and parameters.
pub const PARTS: &[(&str, &str)] = &[
    ("presets", "the ready settings"),
    ("controls", "all parameters"),
    ("transport", "play, step, speed, seed"),
    ("prose", "the text"),
    ("claims", "the paper's claims"),
    ("tabs", "the way to the other labs"),
];

/// Everything that an address says.
#[derive(Clone, Debug, PartialEq)]
pub struct Address {
    pub lab: Option<String>,
    /// A page that is no lab: `about`.
    pub page: Option<String>,
    pub embed: bool,
    /// Panels that are shown alone.
    pub panels: Vec<String>,
    pub hide: Vec<String>,
    pub lock: Vec<String>,
    pub theme: Option<String>,
    pub start: Start,
    pub engine: Engine,
    pub speed: Speed,
    /// What the second run differs in: a query; nothing if there is no second run.
    pub compare: Option<String>,
    /// What the reader drew before the run: panel and points.
    pub guess: Option<Guess>,
    pub fault: Option<Fault>,
    /// The page that was loaded again because its engine was of another version.
    pub version: Option<String>,
    /// The lab's own parameters, as a query.
    pub params: String,
    /// What could not be taken as it stood.
    pub mends: Vec<ParamProblem>,
}

/// When the engine begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    #[default]
    AtOnce,
    /// The engine is loaded, and its run waits.
    Paused,
    /// Nothing is loaded before the reader asks; a recorded picture stands until then.
    Click,
}

impl Address {
    /// Reads an address of ours, wherever its keys stand.
    pub fn read(search: &str, fragment: &str) -> Self {
        let mut address = Self {
            lab: None,
            page: None,
            embed: false,
            panels: Vec::new(),
            hide: Vec::new(),
            lock: Vec::new(),
            theme: None,
            start: Start::AtOnce,
            engine: Engine::Auto,
            speed: Speed::Four,
            compare: None,
            guess: None,
            fault: None,
            version: None,
            params: String::new(),
            mends: Vec::new(),
        };
        let list = |value: &str| value.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect();
        let mend = |key: &str, value: &str, used: &str| {
            let shown: String = value.chars().take(24).collect();
            ParamProblem { key: key.to_owned(), message: format!("“{shown}” means nothing for {key}; {used}.") }
        };
        for (key, value) in pairs(search).into_iter().chain(pairs(fragment)) {
            match key.as_str() {
                "lab" => address.lab = Some(value),
                "page" => address.page = Some(value),
                "embed" => address.embed = value != "0" && value != "false",
                "panel" => address.panels = list(&value),
                "hide" => address.hide = list(&value),
                "lock" => address.lock = list(&value),
                "theme" if value == "light" || value == "dark" => address.theme = Some(value),
                "theme" => address.mends.push(mend("theme", &value, "the theme of your system is used")),
                "start" => match value.as_str() {
                    "paused" => address.start = Start::Paused,
                    "click" => address.start = Start::Click,
                    _ => address.mends.push(mend("start", &value, "the run starts at once")),
                },
                "engine" => match Engine::named(&value) {
                    Some(engine) => address.engine = engine,
                    None => address.mends.push(mend("engine", &value, "auto is used")),
                },
                "speed" => match Speed::named(&value) {
                    Some(speed) => address.speed = speed,
                    None => address.mends.push(mend("speed", &value, "4 is used")),
                },
                "compare" => address.compare = Some(overrides_from_link(&value)),
                "guess" => {
                    address.guess = Guess::read(&value);
                    if address.guess.is_none() {
                        address.mends.push(mend("guess", &value, "nothing is drawn"));
                    }
                }
                "fault" => address.fault = Fault::named(&value),
                "v" => address.version = Some(value),
                key if RESERVED.contains(&key) => {}
                key => {
                    let separator = if address.params.is_empty() { "" } else { "&" };
                    address.params += &format!("{separator}{key}={}", encode(&value));
                }
            }
        }
        address
    }

    /// The address of this page as it stands.
    pub fn here() -> Self {
        let location = window().location();
        Self::read(&location.search().unwrap_or_default(), &location.hash().unwrap_or_default())
    }

    /// Relative, so that it works below any path.
    pub fn text(&self) -> String {
        let mut search = Vec::new();
        let list = |words: &[String]| words.iter().map(|word| encode(word)).collect::<Vec<_>>().join(",");
        let mut say = |key: &str, value: Option<String>| search.extend(value.map(|value| format!("{key}={value}")));
        say("lab", self.lab.as_deref().map(encode));
        say("page", self.page.as_deref().map(encode));
        say("embed", self.embed.then(|| "1".to_owned()));
        for (key, words) in [("panel", &self.panels), ("hide", &self.hide), ("lock", &self.lock)] {
            say(key, (!words.is_empty()).then(|| list(words)));
        }
        say("theme", self.theme.as_deref().map(encode));
        say(
            "start",
            match self.start {
                Start::AtOnce => None,
                Start::Paused => Some("paused".to_owned()),
                Start::Click => Some("click".to_owned()),
            },
        );
        if self.lab.is_none() {
            return format!("?{}", search.join("&"));
        }
        let mut fragment = Vec::new();
        if !self.params.is_empty() {
            fragment.push(self.params.clone());
        }
        fragment.push(format!("speed={}", self.speed.value()));
        fragment.push(format!("engine={}", self.engine.value()));
        if let Some(query) = &self.compare {
            fragment.push(format!("compare={}", encode(&overrides_to_link(query))));
        }
        if let Some(version) = &self.version {
            fragment.push(format!("v={}", encode(version)));
        }
        if let Some(guess) = &self.guess {
            fragment.push(format!("guess={}", encode(&guess.text())));
        }
        format!("?{}#{}", search.join("&"), fragment.join("&"))
    }
}

/// Lets the address follow the page without a new entry in the history. Not oftener than the page's own pacing:
/// browsers drop more than 200 in ten seconds.
pub fn mirror(address: &str) {
    let replaced =
        window().history().and_then(|history| history.replace_state_with_url(&JsValue::NULL, "", Some(address)));
    // A sandboxed frame may refuse; the page works without.
    if replaced.is_err() {
        leptos::logging::log!("the address cannot follow the page here");
    }
}

/// Opens another lab as a new entry in the history.
pub fn open(address: &str) {
    let pushed = window().history().and_then(|history| history.push_state_with_url(&JsValue::NULL, "", Some(address)));
    if pushed.is_err() {
        leptos::logging::log!("the address cannot follow the page here");
    }
}
