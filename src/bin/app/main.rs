//! The page: home, a lab, an embed. Carries no tensor library; what runs, runs in an engine.

mod about;
mod address;
mod bench;
mod claims;
mod connect;
mod controls;
mod dialogs;
mod engine;
mod figures;
mod files;
mod head;
mod home;
mod icons;
mod lab_page;
mod pair;
mod rail;
mod session;
mod transport;
mod turns;
mod watch;

use address::Address;
use files::GivenFiles;
use heads_and_tails::labs;
use leptos::ev;
use leptos::prelude::*;
use wasm_bindgen::JsCast;

fn main() {
    std::panic::set_hook(Box::new(|panic| {
        web_sys::console::error_1(&panic.to_string().into());
        say_broken();
    }));
    leptos::mount::mount_to_body(App);
}

/// A page whose own code failed answers to nothing any more, so this is said without it.
fn say_broken() {
    let said = document().create_element("div").and_then(|note| {
        note.set_attribute("role", "alert")?;
        note.set_attribute("class", "notice notice--error broken")?;
        note.set_text_content(Some("The page itself failed. Load it again: your settings are in the address."));
        document().body().map_or(Ok(()), |body| body.prepend_with_node_1(&note))
    });
    drop(said);
}

/// Follows the address: each opening of another place builds that place anew.
#[component]
fn App() -> impl IntoView {
    let here = RwSignal::new(Address::here());
    let went_back = window_event_listener(ev::popstate, move |_| here.set(Address::here()));
    on_cleanup(move || went_back.remove());
    provide_context(Navigator(here));
    provide_context(GivenFiles::new());
    let theme = RwSignal::new(here.with_untracked(|at| at.theme.clone()));
    Effect::new(move |_| {
        let Some(root) = document().document_element() else { return };
        let done = match theme.get() {
            Some(theme) if theme == "light" || theme == "dark" => root.set_attribute("data-theme", &theme),
            _ => root.remove_attribute("data-theme"),
        };
        debug_assert!(done.is_ok(), "a plain attribute can be set");
    });
    provide_context(Theme(theme));
    move || {
        let at = here.get();
        match at.lab.as_deref().map(labs::entry) {
            None if at.page.as_deref() == Some("about") => view! { <about::About/> }.into_any(),
            None => view! { <home::Home/> }.into_any(),
            Some(Some(entry)) => view! { <lab_page::LabPage entry at/> }.into_any(),
            Some(None) => view! { <NoSuchLab slug=at.lab.unwrap_or_default()/> }.into_any(),
        }
    }
}

/// Opens places without loading the page again.
#[derive(Clone, Copy)]
pub struct Navigator(RwSignal<Address>);

impl Navigator {
    pub fn go(self, link: &str) {
        let (search, fragment) = link.split_once('#').unwrap_or((link, ""));
        address::open(link);
        self.0.set(Address::read(search, fragment));
        window().scroll_to_with_x_and_y(0.0, 0.0);
    }

    /// What a click on a link of ours does: the same as following it, without the load. Others are left alone.
    pub fn follow(self, event: &web_sys::MouseEvent, link: &str) {
        if event.ctrl_key() || event.meta_key() || event.shift_key() || event.button() != 0 {
            return;
        }
        event.prevent_default();
        self.go(link);
    }
}

/// The pinned theme, if any.
#[derive(Clone, Copy)]
pub struct Theme(pub RwSignal<Option<String>>);

#[component]
fn NoSuchLab(slug: String) -> impl IntoView {
    let error = heads_and_tails::lab::LabError::Unknown { slug };
    view! {
        <head::SiteHead/>
        <main id="main"><h1 class="sr">"No such lab"</h1><div class="notices"><div class="notice notice--error" role="alert"><span></span><p>{error.to_string()}</p></div></div></main>
        <home::Shelf/>
    }
}

/// The link under a click, if it is one of ours: `?lab=…` or `#key=…`.
pub fn own_link(event: &web_sys::MouseEvent) -> Option<String> {
    let element = event.target()?.dyn_into::<web_sys::Element>().ok()?;
    let anchor = element.closest("a[href]").ok().flatten()?;
    let href = anchor.get_attribute("href")?;
    (href.starts_with('?') || href.starts_with('#')).then_some(href)
}
