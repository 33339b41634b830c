//! The head of every page.

use leptos::prelude::*;

use crate::{Navigator, Theme};

#[component]
pub fn SiteHead(
    /// Buttons of the page below.
    #[prop(optional)]
    tools: Option<AnyView>,
) -> impl IntoView {
    let navigator = expect_context::<Navigator>();
    let Theme(theme) = expect_context::<Theme>();
    let choices = [("", "Theme of the system", "◐"), ("light", "Light theme", "☀"), ("dark", "Dark theme", "☾")];
    let buttons = choices.map(|(value, name, sign)| {
        let pressed = move || (theme.get().unwrap_or_default() == value).to_string();
        view! {
            <button type="button" aria-label=name title=name aria-pressed=pressed
                on:click=move |_| theme.set((!value.is_empty()).then(|| value.to_owned()))>
                <span aria-hidden="true">{sign}</span>
            </button>
        }
    });
    view! {
        <a class="skip" href="#main">"To the figures"</a>
        <header class="site-head">
            <a class="wordmark" href="?" on:click=move |event| navigator.follow(&event, "?")>"Heads "<span class="amp">"&"</span>" Tails"</a>
            <nav class="site-nav desk" aria-label="Site"><a href="?" on:click=move |event| navigator.follow(&event, "?")>"Labs"</a></nav>
            <div class="head-tools">
                {tools}
                <div class="seg" role="group" aria-label="Theme">{buttons.to_vec()}</div>
            </div>
        </header>
    }
}
