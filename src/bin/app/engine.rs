//! Engines as the page sees them: workers that are told commands and tell events.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use heads_and_tails::drive::{Command, Event};
use js_sys::{Array, ArrayBuffer, Promise, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{MessageEvent, Worker};

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = headsAndTails, js_name = startEngine, catch)]
    fn start_engine(kind: &str) -> Result<Worker, JsValue>;
}

/// What comes from an engine.
pub enum Heard {
    Event(Event),
    /// It is gone, and this is what it said.
    Fault(String),
    /// It could not be loaded, and this is why.
    Unloaded(String),
    /// It speaks as another version does.
    Stranger,
}

impl Heard {
    /// Why nothing more comes from an engine that works beside the run; nothing if it is there.
    pub fn gone(&self) -> Option<String> {
        match self {
            Self::Event(_) => None,
            Self::Fault(message) | Self::Unloaded(message) => Some(message.clone()),
            Self::Stranger => Some("the engine is of another version; load the page again".to_owned()),
        }
    }
}

/// A running engine; dropping it ends its worker.
pub struct Worked {
    worker: Worker,
    /// Nothing arrives in a worker before its wasm runs, so commands wait for its first word.
    waiting: Rc<RefCell<Vec<Command>>>,
    ready: Rc<Cell<bool>>,
    _on_message: Closure<dyn Fn(MessageEvent)>,
    _on_error: Closure<dyn Fn(web_sys::ErrorEvent)>,
}

impl Worked {
    /// Starts a worker of this kind, named as [`heads_and_tails::drive::Engine`] names engines.
    pub fn start(kind: &str, hear: impl Fn(Heard) + 'static) -> Result<Self, String> {
        let worker = start_engine(kind).map_err(|error| words(&error))?;
        let hear = Rc::new(hear);
        let waiting: Rc<RefCell<Vec<Command>>> = Rc::default();
        let ready = Rc::new(Cell::new(false));
        let on_message = {
            let (hear, waiting, ready, worker) = (hear.clone(), waiting.clone(), ready.clone(), worker.clone());
            Closure::<dyn Fn(MessageEvent)>::new(move |message: MessageEvent| {
                match message.data().dyn_into::<ArrayBuffer>() {
                    Ok(buffer) => match postcard::from_bytes::<Event>(&Uint8Array::new(&buffer).to_vec()) {
                        Ok(event) => {
                            if matches!(event, Event::Hello { .. }) {
                                ready.set(true);
                                for command in waiting.borrow_mut().drain(..) {
                                    post(&worker, command);
                                }
                            }
                            hear(Heard::Event(event));
                        }
                        Err(_) => hear(Heard::Stranger),
                    },
                    Err(other) => {
                        let fault = Reflect::get(&other, &"fault".into()).ok().and_then(|fault| fault.as_string());
                        match fault {
                            Some(fault) if ready.get() => hear(Heard::Fault(fault)),
                            Some(fault) => hear(Heard::Unloaded(fault)),
                            None => hear(Heard::Stranger),
                        }
                    }
                }
            })
        };
        let on_error = Closure::<dyn Fn(web_sys::ErrorEvent)>::new(move |error: web_sys::ErrorEvent| {
            hear(Heard::Fault(error.message()));
        });
        worker.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        worker.set_onerror(Some(on_error.as_ref().unchecked_ref()));
        Ok(Self { worker, waiting, ready, _on_message: on_message, _on_error: on_error })
    }

    pub fn send(&self, command: Command) {
        if self.ready.get() {
            post(&self.worker, command);
        } else {
            self.waiting.borrow_mut().push(command);
        }
    }
}

impl Drop for Worked {
    fn drop(&mut self) {
        self.worker.set_onmessage(None);
        self.worker.set_onerror(None);
        self.worker.terminate();
    }
}

fn post(worker: &Worker, mut command: Command) {
    let bytes = command.take_bytes();
    let Ok(text) = serde_json::to_string(&command) else { return };
    let message = Array::of2(&text.into(), &JsValue::NULL);
    let transfer = Array::new();
    if let Some(bytes) = bytes {
        let buffer = Uint8Array::from(bytes.as_slice()).buffer();
        message.set(1, buffer.clone().into());
        transfer.push(&buffer);
    }
    if let Err(error) = worker.post_message_with_transfer(&message, &transfer) {
        leptos::logging::error!("a command could not be sent: {}", words(&error));
    }
}

pub fn words(error: &JsValue) -> String {
    let message = Reflect::get(error, &"message".into()).ok().and_then(|message| message.as_string());
    message.or_else(|| error.as_string()).unwrap_or_else(|| "the browser gives no reason".to_owned())
}

/// Whether the browser knows relaxed SIMD.
pub fn relaxed_simd() -> bool {
    // A module of one function: the product of two vectors, plus a third, relaxed.
    const MODULE: [u8; 40] = [
        0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 19, 1, 17, 0, 65, 1, 253, 15, 65, 1, 253,
        15, 65, 1, 253, 15, 253, 133, 2, 11,
    ];
    js_sys::WebAssembly::validate(&Uint8Array::from(MODULE.as_slice())).unwrap_or(false)
}

/// What the browser offers for WebGPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Adapter {
    /// Not asked yet.
    #[default]
    Unknown,
    None,
    /// A software adapter: right results, slowly.
    Fallback,
    Real,
}

/// Asks the browser for an adapter. Through reflection, for web-sys keeps WebGPU behind a flag of its own.
pub async fn adapter() -> Adapter {
    let asked = async {
        let gpu = Reflect::get(&leptos::prelude::window().navigator(), &"gpu".into())?;
        let request: js_sys::Function = Reflect::get(&gpu, &"requestAdapter".into())?.dyn_into()?;
        let promise: Promise = request.call0(&gpu)?.dyn_into()?;
        let adapter = JsFuture::from(promise).await?;
        if adapter.is_null() || adapter.is_undefined() {
            return Ok(Adapter::None);
        }
        let info = Reflect::get(&adapter, &"info".into()).unwrap_or(JsValue::UNDEFINED);
        let flag =
            |object: &JsValue| Reflect::get(object, &"isFallbackAdapter".into()).is_ok_and(|flag| flag.is_truthy());
        Ok::<_, JsValue>(if flag(&info) || flag(&adapter) { Adapter::Fallback } else { Adapter::Real })
    };
    asked.await.unwrap_or(Adapter::None)
}
