//! The built site as a person uses it: a static server, a real browser, and things found by role and name.
//!
//! A package of its own, so that no other test compiles a WebDriver client. It knows nothing of the product
//! but its address: what the page is made of may change, what it offers may not.

mod browser;
mod model_server;
mod page;
mod server;
mod visit;

pub use browser::{Browser, Look};
pub use model_server::{Asked, ModelServer};
pub use page::{Element, Page};
pub use server::Server;
pub use visit::{STARTING, Visit, end_of_run, panels, readouts, step, wait_for_step};

use std::fmt::Display;
use std::path::PathBuf;

use serde_json::Value;

/// What went wrong, as a sentence.
pub type Outcome<T = ()> = Result<T, String>;

/// The folder of the built site, or a word on standard error about why the test is not run.
pub fn built_site() -> Option<PathBuf> {
    let site = std::env::var_os("HT_SITE").map(PathBuf::from);
    if site.is_none() {
        eprintln!("skipped: HT_SITE names no built site; `cargo xtask test e2e` builds one");
    }
    site
}

/// Whether heavy hosts are wanted (`cargo xtask test --hosts`): Firefox, and long runs of WebGPU on the processor, which
/// takes seconds for a step. Without it, short ones stand in.
pub fn with_hosts() -> bool {
    std::env::var_os("HT_HOSTS").is_some()
}

/// A number of an answer, or NaN where there is none.
pub fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

/// The middle one of some measurements: it does not care what a machine did once beside them.
pub fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Says what was being done when a foreign error came.
fn doing<T, E: Display>(what: impl Display) -> impl FnOnce(E) -> Outcome<T> {
    move |error| Err(format!("{what}: {error}"))
}
