use heads_and_tails::lab::Panel;
use leptos::prelude::*;
#[component]
pub fn Figure(label: String, #[prop(into)] panel: Signal<Panel>, on_edit: Callback<(String, String)>, on_hold: Callback<bool>) -> impl IntoView { let _ = (on_edit, on_hold); view! { <section>{label}{move || panel.get().title}</section> } }
#[component]
pub fn Picture(panel: Panel) -> impl IntoView { view! { <p>{panel.title}</p> } }
