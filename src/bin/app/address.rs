//! The address: what is open, and the whole state of it.
//!
//! Query: what page this is (`lab`, `embed`, `panel`, `theme`). Fragment: the lab's parameters and how it runs, so
//! that no server sees them. A key on the wrong side is read too. No router crate: there is one path, and it must
//! work under any prefix.

use heads_and_tails::drive::{Engine, Speed};
use heads_and_tails::lab::params::{RESERVED, encode, pairs};
use leptos::prelude::window;
use wasm_bindgen::JsValue;

/// Everything that an address says.
#[derive(Clone, Debug, PartialEq)]
pub struct Address {
    pub lab: Option<String>,
    pub embed: bool,
    pub panel: Option<String>,
    pub theme: Option<String>,
    pub paused: bool,
    pub engine: Engine,
    pub speed: Speed,
    pub fault: Option<u64>,
    /// The lab's own parameters, as a query.
    pub params: String,
}

impl Address {
    /// Reads an address of ours, wherever its keys stand.
    pub fn read(search: &str, fragment: &str) -> Self {
        let mut address = Self {
            lab: None,
            embed: false,
            panel: None,
            theme: None,
            paused: false,
            engine: Engine::Auto,
            speed: Speed::Four,
            fault: None,
            params: String::new(),
        };
        for (key, value) in pairs(search).into_iter().chain(pairs(fragment)) {
            match key.as_str() {
                "lab" => address.lab = Some(value),
                "embed" => address.embed = value != "0" && value != "false",
                "panel" => address.panel = Some(value),
                "theme" => address.theme = Some(value),
                "start" => address.paused = value == "paused",
                "engine" => address.engine = Engine::named(&value).unwrap_or_default(),
                "speed" => address.speed = Speed::named(&value).unwrap_or(Speed::Four),
                "fault" => address.fault = value.parse().ok(),
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
        if let Some(lab) = &self.lab {
            search.push(format!("lab={}", encode(lab)));
        }
        if self.embed {
            search.push("embed=1".to_owned());
        }
        if let Some(panel) = &self.panel {
            search.push(format!("panel={}", encode(panel)));
        }
        if let Some(theme) = &self.theme {
            search.push(format!("theme={}", encode(theme)));
        }
        if self.paused {
            search.push("start=paused".to_owned());
        }
        let mut fragment = Vec::new();
        if !self.params.is_empty() {
            fragment.push(self.params.clone());
        }
        fragment.push(format!("speed={}", self.speed.value()));
        fragment.push(format!("engine={}", self.engine.value()));
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
