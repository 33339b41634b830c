//! Signs on buttons, drawn on 16 by 16. A sign never stands alone: its button has a name.

use leptos::prelude::*;

pub const PLAY: &str =
    r#"<path class="solid" d="M5 3.2v9.6a.4.4 0 0 0 .6.35l7.9-4.8a.4.4 0 0 0 0-.7L5.6 2.85A.4.4 0 0 0 5 3.2Z"/>"#;
pub const PAUSE: &str = r#"<path class="solid" d="M4 3h2.6v10H4zM9.4 3H12v10H9.4z"/>"#;
pub const STEP: &str = r#"<path class="solid" d="M3 3.4v9.2c0 .3.3.5.6.3l6.4-4.5a.4.4 0 0 0 0-.7L3.6 3.1c-.3-.2-.6 0-.6.3Z"/><path d="M12.5 3v10"/>"#;
pub const RESTART: &str = r#"<path d="M3 8a5 5 0 1 0 1.6-3.7M3 2.5v3h3"/>"#;
pub const UNDO: &str = r#"<path d="M3.5 6.5h6a3.5 3.5 0 0 1 0 7H6M6.5 3.5l-3 3 3 3"/>"#;
pub const REDO: &str = r#"<path d="M12.5 6.5h-6a3.5 3.5 0 0 0 0 7H10M9.5 3.5l3 3-3 3"/>"#;
pub const LINK: &str = r#"<path d="M6.8 9.2a2.6 2.6 0 0 0 3.7 0l2-2a2.6 2.6 0 1 0-3.7-3.7l-.7.7M9.2 6.8a2.6 2.6 0 0 0-3.7 0l-2 2a2.6 2.6 0 1 0 3.7 3.7l.7-.7"/>"#;
pub const EMBED: &str = r#"<path d="m5.5 4.5-3 3.5 3 3.5M10.5 4.5l3 3.5-3 3.5"/>"#;
pub const HELP: &str = r#"<path d="M6 6.2a2 2 0 1 1 2.9 1.8c-.6.3-.9.7-.9 1.5"/><path d="M8 12v.05"/>"#;
pub const TABLE: &str = r#"<path d="M2.5 3.5h11v9h-11zM2.5 6.5h11M2.5 9.5h11M6.5 6.5v6"/>"#;
pub const SAVE: &str = r#"<path d="M8 2.5v7M5 7l3 3 3-3M3 12.5h10"/>"#;
pub const FULL: &str = r#"<path d="M9.5 3H13v3.5M6.5 13H3V9.5M13 3 9 7M3 13l4-4"/>"#;
pub const PENCIL: &str = r#"<path d="m3 13 .7-2.8 7-7 2.1 2.1-7 7L3 13Z"/>"#;
pub const SLIDERS: &str =
    r#"<path d="M2.5 5h5M10.5 5h3M2.5 11h2M7.5 11h6"/><circle cx="9" cy="5" r="1.6"/><circle cx="6" cy="11" r="1.6"/>"#;
pub const DICE: &str = r#"<rect x="2.8" y="2.8" width="10.4" height="10.4" rx="2"/><path d="M5.8 5.8v.05M10.2 5.8v.05M8 8v.05M5.8 10.2v.05M10.2 10.2v.05" stroke-width="2"/>"#;
pub const WARN: &str = r#"<path d="M8 2.5 14 13H2L8 2.5ZM8 6.5v3M8 11.3v.05"/>"#;
pub const ERROR: &str = r#"<path d="M5.4 2.5h5.2l2.9 2.9v5.2l-2.9 2.9H5.4l-2.9-2.9V5.4zM8 5.3v3.4M8 10.8v.05"/>"#;
pub const INFO: &str = r#"<circle cx="8" cy="8" r="5.8"/><path d="M8 7.3v3.6M8 5v.05"/>"#;
pub const CHECK: &str = r#"<path d="m3.5 8.5 3 3 6-7"/>"#;
pub const CROSS: &str = r#"<path d="m4 4 8 8M12 4l-8 8"/>"#;
pub const SUN: &str = r#"<circle cx="8" cy="8" r="2.6"/><path d="M8 1.8v1.4M8 12.8v1.4M1.8 8h1.4M12.8 8h1.4M3.6 3.6l1 1M11.4 11.4l1 1M3.6 12.4l1-1M11.4 4.6l1-1"/>"#;
pub const MOON: &str = r#"<path d="M12.8 9.6A5.3 5.3 0 0 1 6.4 3.2a5.3 5.3 0 1 0 6.4 6.4Z"/>"#;
pub const AUTO: &str = r#"<circle cx="8" cy="8" r="5.5"/><path class="solid" d="M8 2.5a5.5 5.5 0 0 1 0 11z"/>"#;
pub const PAIR: &str = r#"<path d="M2.5 3.5h4.5v9H2.5zM9 3.5h4.5v9H9z"/>"#;

pub fn icon(shape: &'static str) -> impl IntoView {
    view! { <svg class="ico" viewBox="0 0 16 16" aria-hidden="true" inner_html=shape></svg> }
}
