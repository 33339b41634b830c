//! Sends what a lab asks of the reader's own server, one request after the other.
//!
//! The policy of this page lets it ask the site alone. A hidden page, `connect.html`, has another, which names the one
//! origin that the reader typed; address and key go to it and nowhere else.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use futures_util::future::{Either, select};
use heads_and_tails::lab::sending::{self, Endpoint, MOST_REQUESTS, PATIENCE, Trouble};
use heads_and_tails::lab::{HttpRequest, HttpResponse, LabError};
use js_sys::{Array, ArrayBuffer, Object, Promise, Reflect, Uint8Array};
use leptos::prelude::*;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{HtmlIFrameElement, MessageChannel, MessageEvent, MessagePort};

use crate::engine::words;

/// The way to the reader's server.
#[derive(Clone, Default)]
pub struct Connection(Rc<Line>);

#[derive(Default)]
struct Line {
    frame: RefCell<Option<Frame>>,
    flight: RefCell<Option<Flight>>,
    /// Requests of this run, with those that were sent again.
    sent: Cell<u32>,
    known: RefCell<Vec<Known>>,
    /// The last answer, of which it is not yet known whether the lab can read it.
    last: RefCell<Option<Known>>,
}

/// What the server said to a request, so that another setting does not cost it again. It ends with the page.
struct Known {
    /// As it was typed.
    address: String,
    request: HttpRequest,
    response: HttpResponse,
    /// This run has had it: whoever asks again wants to hear something new, as of an answer that is drawn.
    told: bool,
}

/// The hidden page, and the only origin that it can ask.
struct Frame {
    element: HtmlIFrameElement,
    origin: String,
}

impl Drop for Frame {
    fn drop(&mut self) {
        self.element.remove();
    }
}

/// A request under way.
#[derive(Clone, Default)]
struct Flight {
    stopped: Rc<Cell<bool>>,
    port: Rc<RefCell<Option<MessagePort>>>,
}

impl Flight {
    fn stop(&self) {
        self.stopped.set(true);
        if let Some(port) = self.port.borrow_mut().take() {
            let told = port.post_message(&JsValue::NULL);
            debug_assert!(told.is_ok(), "null can be posted");
        }
    }
}

impl Connection {
    /// Gives up what is under way, at once.
    pub fn stop(&self) {
        if let Some(flight) = self.0.flight.take() {
            flight.stop();
        }
    }

    /// How often this run has sent something.
    pub fn sent(&self) -> u32 {
        self.0.sent.get()
    }

    /// A new run has sent nothing. Unless it goes on from an earlier one, it may hear all that is known.
    pub fn begin(&self, goes_on: bool) {
        self.stop();
        self.0.sent.set(0);
        self.learn();
        for known in self.0.known.borrow_mut().iter_mut() {
            known.told &= goes_on;
        }
    }

    /// The next run asks all of its questions.
    pub fn forget(&self) {
        self.doubt();
        self.0.known.borrow_mut().clear();
    }

    /// The last answer was none that the lab could read.
    pub fn doubt(&self) {
        self.0.last.take();
    }

    /// The lab has read the last answer.
    fn learn(&self) {
        let mut known = self.0.known.borrow_mut();
        known.extend(self.0.last.take());
        if known.len() > MOST_REQUESTS as usize {
            known.remove(0);
        }
    }

    /// Its page is gone.
    pub fn close(&self) {
        self.stop();
        self.0.frame.take();
    }

    /// The answer of the server at this address, or what it said to the same in an earlier run; nothing if it was stopped
    /// meanwhile.
    pub async fn send(
        &self,
        request: &HttpRequest,
        address: &str,
        key: Option<&str>,
    ) -> Option<Result<HttpResponse, LabError>> {
        self.stop();
        self.learn();
        if let Some(response) = self.recall(request, address) {
            return Some(Ok(response));
        }
        let flight = Flight::default();
        *self.0.flight.borrow_mut() = Some(flight.clone());
        let answer = self.try_until_answered(request, address, key, &flight).await;
        if flight.stopped.get() {
            return None;
        }
        if let Ok(response) = answer.as_ref()
            && (200..300).contains(&response.status)
        {
            let (address, request, response) = (address.to_owned(), request.clone(), response.clone());
            *self.0.last.borrow_mut() = Some(Known { address, request, response, told: true });
        }
        Some(answer)
    }

    /// What the server said to this in an earlier run, the first answer first.
    fn recall(&self, request: &HttpRequest, address: &str) -> Option<HttpResponse> {
        let mut known = self.0.known.borrow_mut();
        let mut new = known.iter_mut().filter(|known| !known.told);
        let known = new.find(|known| known.address == address && known.request == *request)?;
        known.told = true;
        Some(known.response.clone())
    }

    async fn try_until_answered(
        &self,
        request: &HttpRequest,
        address: &str,
        key: Option<&str>,
        flight: &Flight,
    ) -> Result<HttpResponse, LabError> {
        let endpoint = Endpoint::read(address).map_err(|message| LabError::Http { message })?;
        let page = window().location().origin().unwrap_or_default();
        let troubled = |trouble: Trouble| trouble.told(&endpoint, &page);
        let message = message(request, &endpoint, key)?;
        let mut attempt = 0;
        loop {
            if self.0.sent.get() >= MOST_REQUESTS {
                return Err(troubled(Trouble::TooMany));
            }
            self.0.sent.set(self.0.sent.get() + 1);
            let frame = self.frame(&endpoint.origin).await.map_err(|error| LabError::Http {
                message: format!("The page that sends requests could not be opened: {}.", words(&error)),
            })?;
            if flight.stopped.get() {
                return Err(LabError::NoAddress);
            }
            let response = ask(&frame, &message, flight).await.map_err(troubled)?;
            match sending::wait(attempt, response.status, asked_to_wait(&response)) {
                None => return Ok(response),
                Some(milliseconds) => timer(milliseconds).await,
            }
            if flight.stopped.get() {
                return Ok(response);
            }
            attempt += 1;
        }
    }

    /// The hidden page for this origin: another gets a page of its own, since a policy cannot be taken back.
    async fn frame(&self, origin: &str) -> Result<HtmlIFrameElement, JsValue> {
        if let Some(frame) = self.0.frame.borrow().as_ref().filter(|frame| frame.origin == origin) {
            return Ok(frame.element.clone());
        }
        let element: HtmlIFrameElement = document().create_element("iframe")?.unchecked_into();
        element.set_title("Requests to your server");
        element.set_hidden(true);
        element.set_src("connect.html");
        let loaded = Promise::new(&mut |resolve, _| element.set_onload(Some(&resolve)));
        document().body().ok_or("the page has no body")?.append_child(&element)?;
        *self.0.frame.borrow_mut() = Some(Frame { element: element.clone(), origin: origin.to_owned() });
        JsFuture::from(loaded).await?;
        element.set_onload(None);
        Ok(element)
    }
}

/// What the hidden page is told of a request.
fn message(request: &HttpRequest, endpoint: &Endpoint, key: Option<&str>) -> Result<Object, LabError> {
    let pair = |name: &str, value: &str| Array::of2(&name.into(), &value.into());
    let headers = Array::of1(&pair("Content-Type", "application/json"));
    if let Some(key) = key {
        headers.push(&pair("Authorization", &sending::authorization(key)?));
    }
    let body = (!request.body.is_empty()).then(|| Uint8Array::from(request.body.as_slice()));
    let message = Object::new();
    let parts: [(&str, JsValue); 5] = [
        ("origin", endpoint.origin.as_str().into()),
        ("address", format!("{}{}", endpoint.base, request.path).into()),
        ("method", request.method.as_str().into()),
        ("headers", headers.into()),
        ("body", body.map_or(JsValue::UNDEFINED, JsValue::from)),
    ];
    for (key, value) in parts {
        let set = Reflect::set(&message, &key.into(), &value);
        debug_assert!(set.is_ok(), "a plain object takes any part");
    }
    Ok(message)
}

/// Sends a request once.
async fn ask(frame: &HtmlIFrameElement, message: &Object, flight: &Flight) -> Result<HttpResponse, Trouble> {
    let (Ok(channel), Some(target)) = (MessageChannel::new(), frame.content_window()) else {
        return Err(Trouble::Unreachable);
    };
    let port = channel.port1();
    let answered = Promise::new(&mut |resolve, _| port.set_onmessage(Some(&resolve)));
    // In a sandboxed frame neither page has an origin to be named by, and the other is our own all the same.
    let ours = Reflect::get(&window(), &"origin".into()).ok().and_then(|origin| origin.as_string());
    let to = ours.filter(|origin| origin != "null").unwrap_or_else(|| "*".to_owned());
    if target.post_message_with_transfer(message, &to, &Array::of1(&channel.port2())).is_err() {
        return Err(Trouble::Unreachable);
    }
    *flight.port.borrow_mut() = Some(port.clone());
    match select(JsFuture::from(answered), Box::pin(timer(PATIENCE))).await {
        Either::Left((answer, _)) => answer.ok().and_then(|event| read(&event)).unwrap_or(Err(Trouble::CutOff)),
        Either::Right(_) => {
            let told = port.post_message(&JsValue::NULL);
            debug_assert!(told.is_ok(), "null can be posted");
            Err(Trouble::TimedOut)
        }
    }
}

/// What the hidden page says of the answer.
fn read(event: &JsValue) -> Option<Result<HttpResponse, Trouble>> {
    let data = event.dyn_ref::<MessageEvent>()?.data();
    let part = |key: &str| Reflect::get(&data, &key.into()).ok();
    if let Some(failure) = part("failure").and_then(|failure| failure.as_string()) {
        return Some(Err(match failure.as_str() {
            "cut off" => Trouble::CutOff,
            "too long" => Trouble::TooLong,
            _ => Trouble::Unreachable,
        }));
    }
    let headers = part("headers")?.dyn_into::<Array>().ok()?;
    let header = |pair: JsValue| {
        let pair = pair.dyn_into::<Array>().ok()?;
        Some((pair.get(0).as_string()?, pair.get(1).as_string()?))
    };
    let body: ArrayBuffer = part("body")?.dyn_into().ok()?;
    Some(Ok(HttpResponse {
        status: part("status")?.as_f64()? as u16,
        headers: headers.iter().filter_map(header).collect(),
        body: Uint8Array::new(&body).to_vec(),
    }))
}

/// Seconds that the server asks to be left alone, which it says as such or as a date.
fn asked_to_wait(response: &HttpResponse) -> Option<f64> {
    let said = sending::header(response, "retry-after")?;
    said.parse().ok().or_else(|| {
        let until = js_sys::Date::parse(said);
        until.is_finite().then(|| ((until - js_sys::Date::now()) / 1000.0).max(0.0))
    })
}

async fn timer(milliseconds: f64) {
    let promise = Promise::new(&mut |resolve, _| {
        let set = window().set_timeout_with_callback_and_timeout_and_arguments_0(&resolve, milliseconds as i32);
        debug_assert!(set.is_ok(), "a timer can be set");
    });
    let _over = JsFuture::from(promise).await;
}
