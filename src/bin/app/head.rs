//! The head of every page.

use leptos::prelude::*;

use crate::icons::{self, icon};
use crate::{Navigator, Theme};

#[component]
pub fn SiteHead(
    /// Buttons of the page below.
    #[prop(optional)]
    tools: Option<AnyView>,
    /// Where this is: "labs", "about".
    #[prop(default = "labs")]
    here: &'static str,
) -> impl IntoView {
    let navigator = expect_context::<Navigator>();
    let Theme(theme) = expect_context::<Theme>();
    let choices = [
        ("", "Theme of the system", icons::AUTO),
        ("light", "Light theme", icons::SUN),
        ("dark", "Dark theme", icons::MOON),
    ];
    let buttons = choices.map(|(value, name, sign)| {
        let pressed = move || (theme.get().unwrap_or_default() == value).to_string();
        view! {
            <button type="button" aria-label=name title=name aria-pressed=pressed
                on:click=move |_| theme.set((!value.is_empty()).then(|| value.to_owned()))>
                {icon(sign)}
            </button>
        }
    });
    // On a phone one button takes the three in turn.
    let next = move |_| {
        theme.update(|theme| {
            *theme = match theme.as_deref() {
                None => Some("light".to_owned()),
                Some("light") => Some("dark".to_owned()),
                Some(_) => None,
            };
        });
    };
    let now = move || {
        let pinned = theme.get().unwrap_or_default();
        choices.iter().find(|(value, ..)| *value == pinned).copied().unwrap_or(choices[0])
    };
    let with_tools = tools.is_some();
    view! {
        <a class="skip" href="#main">"To the figures"</a>
        <header class="site-head">
            <a class="wordmark" href="?" on:click=move |event| navigator.follow(&event, "?")>"Heads "<span class="amp">"&"</span>" Tails"</a>
            <nav class="site-nav" class:desk=with_tools aria-label="Site">
                {[("labs", "?", "Labs"), ("about", "?page=about", "About")].map(|(place, link, name)| view! {
                    <a href=link aria-current=(place == here).then_some("page") on:click=move |event| navigator.follow(&event, link)>{name}</a>
                }).into_iter().collect_view()}
            </nav>
            <div class="head-tools">
                {tools}
                <button type="button" class="btn btn--quiet btn--icon phone-menu" aria-label=move || format!("{}: another", now().1) on:click=next>
                    {move || icon(now().2)}
                </button>
                <div class="seg desk" role="group" aria-label="Theme">{buttons.into_iter().collect_view()}</div>
            </div>
        </header>
    }
}
