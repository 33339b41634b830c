//! What the browser tells of an element by and by: its size, and whether it is in sight. Both end with the view that
//! asked.

use js_sys::Array;
use leptos::prelude::*;
use wasm_bindgen::prelude::*;
use web_sys::{Element, IntersectionObserver, IntersectionObserverEntry, ResizeObserver};

/// Calls when the element has, at first or again, another size.
pub fn resized(element: &Element, tell: impl Fn() + 'static) {
    let tell = Closure::<dyn Fn()>::new(tell);
    let Ok(observer) = ResizeObserver::new(tell.as_ref().unchecked_ref()) else { return };
    observer.observe(element);
    let kept = StoredValue::new_local((observer, tell));
    on_cleanup(move || {
        kept.try_with_value(|(observer, _)| observer.disconnect());
    });
}

/// Calls with whether the element is in sight, at first and whenever that changes.
pub fn in_sight(element: &Element, tell: impl Fn(bool) + 'static) {
    let tell = Closure::<dyn Fn(Array)>::new(move |entries: Array| {
        let last: IntersectionObserverEntry = entries.pop().unchecked_into();
        tell(last.is_intersecting());
    });
    let Ok(observer) = IntersectionObserver::new(tell.as_ref().unchecked_ref()) else { return };
    observer.observe(element);
    let kept = StoredValue::new_local((observer, tell));
    on_cleanup(move || {
        kept.try_with_value(|(observer, _)| observer.disconnect());
    });
}
