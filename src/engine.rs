//! What both engines share: the port to the page and the browser's side of the [`Port`].
//!
//! An engine is a web worker with a device. It is disposable: when it dies, the page starts another from the
//! last state that it was sent. It knows no lab by name and nothing of the page.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use burn::tensor::Device;
use js_sys::{Array, ArrayBuffer, Promise, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{Cache, DedicatedWorkerGlobalScope, MessageChannel, MessageEvent, Response};

use crate::drive::{Command, Event, Mailbox, Port, serve};
use crate::lab::{LabError, Task};
use crate::labs::RUNNERS;

/// The name under which kept models lie in the browser's cache storage.
const CACHE: &str = "heads-and-tails";

/// Serves the page with what `open` gives: a device and its name.
///
/// A device that cannot be opened is reported to the page, which goes on with the other engine.
pub fn run(open: impl Future<Output = Result<(Device, String), LabError>> + 'static) {
    std::panic::set_hook(Box::new(|panic| {
        // Where it was is for whoever mends it; the page tells the reader the rest.
        web_sys::console::warn_1(&panic.to_string().into());
        fault(panic.payload_as_str().unwrap_or("its code failed"));
    }));
    let port = Rc::new(BrowserPort::new());
    let mailbox = Rc::new(Mailbox::default());
    listen(&port.scope, mailbox.clone());
    spawn_local(async move {
        match open.await {
            Ok((device, name)) => serve(port, mailbox, device, name, RUNNERS).await,
            Err(error) => port.send(Event::Failed { run: 0, error }),
        }
    });
}

/// Tells the page why this worker is about to end. What the browser says of it afterwards is only "unreachable".
fn fault(message: &str) {
    let scope: DedicatedWorkerGlobalScope = js_sys::global().unchecked_into();
    let told = js_sys::Object::new();
    let sent = Reflect::set(&told, &"fault".into(), &message.into()).and_then(|_| scope.post_message(&told));
    debug_assert!(sent.is_ok(), "a plain object can be posted");
}

/// What the engines' allocator calls when the browser gives no more memory.
pub fn out_of_memory(_bytes: usize) {
    fault("it used more memory than this tab may have");
}

/// Commands are `[JSON, buffer or null]`. What is not a command is dropped: only the page can write here.
fn listen(scope: &DedicatedWorkerGlobalScope, mailbox: Rc<Mailbox>) {
    let on_message = Closure::<dyn Fn(MessageEvent)>::new(move |message: MessageEvent| {
        let parts: Array = match message.data().dyn_into() {
            Ok(parts) => parts,
            Err(_) => return,
        };
        let Some(mut command) = parts.get(0).as_string().and_then(|text| serde_json::from_str::<Command>(&text).ok())
        else {
            return;
        };
        if let Ok(buffer) = parts.get(1).dyn_into::<ArrayBuffer>() {
            command.put_bytes(Uint8Array::new(&buffer).to_vec());
        }
        mailbox.push(command);
    });
    scope.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
    // The listener lives as long as the worker.
    on_message.forget();
}

struct BrowserPort {
    scope: DedicatedWorkerGlobalScope,
    channel: MessageChannel,
    /// Address of the site's root: a worker from a blob has no address of its own.
    site: String,
    /// Serves what is kept where the browser denies storage.
    memory: RefCell<HashMap<String, Vec<u8>>>,
}

impl BrowserPort {
    fn new() -> Self {
        let scope: DedicatedWorkerGlobalScope = js_sys::global().unchecked_into();
        let site = Reflect::get(&scope, &"site".into()).ok().and_then(|site| site.as_string()).unwrap_or_default();
        let channel = MessageChannel::new().expect("every browser with workers has message channels");
        Self { scope, channel, site, memory: RefCell::default() }
    }

    async fn fetch(&self, path: &str) -> Result<Vec<u8>, JsValue> {
        let response: Response =
            JsFuture::from(self.scope.fetch_with_str(&format!("{}{path}", self.site))).await?.dyn_into()?;
        if !response.ok() {
            return Err(format!("the server answered {}", response.status()).into());
        }
        body(&response).await
    }

    async fn cache(&self) -> Result<Cache, JsValue> {
        // Over plain http and in sandboxed frames there is none, and the binding would call into nothing.
        if Reflect::get(&self.scope, &"caches".into())?.is_undefined() {
            return Err("there is no cache storage here".into());
        }
        JsFuture::from(self.scope.caches()?.open(CACHE)).await?.dyn_into()
    }

    fn cache_key(&self, key: &str) -> String {
        format!("{}kept/{}", self.site, crate::lab::params::encode(key))
    }
}

/// What the browser tells of its WebGPU adapter: vendor, architecture and description, as far as it tells them.
pub async fn adapter_name() -> Option<String> {
    // Through reflection, for web-sys keeps WebGPU behind a flag of its own.
    let get = |object: &JsValue, key: &str| Reflect::get(object, &key.into()).ok();
    let gpu = get(&get(&js_sys::global(), "navigator")?, "gpu")?;
    let request: js_sys::Function = get(&gpu, "requestAdapter")?.dyn_into().ok()?;
    let promise: Promise = request.call0(&gpu).ok()?.dyn_into().ok()?;
    let info = get(&JsFuture::from(promise).await.ok()?, "info")?;
    let told = ["vendor", "architecture", "description"].map(|key| get(&info, key).and_then(|told| told.as_string()));
    let told: Vec<String> = told.into_iter().flatten().filter(|told| !told.is_empty()).collect();
    (!told.is_empty()).then(|| told.join(" "))
}

async fn body(response: &Response) -> Result<Vec<u8>, JsValue> {
    let buffer = JsFuture::from(response.array_buffer()?).await?;
    Ok(Uint8Array::new(&buffer).to_vec())
}

fn words(error: &JsValue) -> String {
    let message = Reflect::get(error, &"message".into()).ok().and_then(|message| message.as_string());
    message.or_else(|| error.as_string()).unwrap_or_else(|| format!("{error:?}"))
}

impl Port for BrowserPort {
    fn send(&self, event: Event) {
        let Ok(bytes) = postcard::to_allocvec(&event) else { return };
        let buffer = Uint8Array::from(bytes.as_slice()).buffer();
        let sent = self.scope.post_message_with_transfer(&buffer, &Array::of1(&buffer));
        debug_assert!(sent.is_ok(), "a fresh buffer can be transferred");
    }

    fn turn(&self) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        // Not a timer: timers wait 4 ms when nested, and a second in a hidden tab.
        let promise = Promise::new(&mut |resolve, _| {
            self.channel.port1().set_onmessage(Some(&resolve));
            let posted = self.channel.port2().post_message(&JsValue::NULL);
            debug_assert!(posted.is_ok(), "null can be posted");
        });
        Box::pin(async move {
            let _resolved = JsFuture::from(promise).await;
        })
    }

    fn sleep(&self, milliseconds: f64) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        let promise = Promise::new(&mut |resolve, _| {
            let set = self.scope.set_timeout_with_callback_and_timeout_and_arguments_0(&resolve, milliseconds as i32);
            debug_assert!(set.is_ok(), "a timer can be set");
        });
        Box::pin(async move {
            let _resolved = JsFuture::from(promise).await;
        })
    }

    fn now(&self) -> f64 {
        self.scope.performance().map_or(0.0, |clock| clock.now())
    }

    fn asset<'a>(&'a self, path: &'a str) -> Task<'a, Vec<u8>> {
        Box::pin(async move {
            let failed = |error: JsValue| LabError::Asset { path: path.to_owned(), message: words(&error) };
            self.fetch(path).await.map_err(failed)
        })
    }

    fn kept<'a>(&'a self, key: &'a str) -> Task<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            if let Some(bytes) = self.memory.borrow().get(key) {
                return Ok(Some(bytes.clone()));
            }
            let found = async {
                let found = JsFuture::from(self.cache().await?.match_with_str(&self.cache_key(key))).await?;
                match found.dyn_into::<Response>() {
                    Ok(response) => body(&response).await.map(Some),
                    Err(_) => Ok(None),
                }
            };
            // Denied storage means that nothing was kept.
            Ok(found.await.unwrap_or_else(|_: JsValue| None))
        })
    }

    fn keep<'a>(&'a self, key: &'a str, bytes: &'a [u8]) -> Task<'a, bool> {
        Box::pin(async move {
            self.memory.borrow_mut().insert(key.to_owned(), bytes.to_vec());
            let put = async {
                let content = Uint8Array::from(bytes);
                let response = Response::new_with_opt_js_u8_array(Some(&content))?;
                JsFuture::from(self.cache().await?.put_with_str(&self.cache_key(key), &response)).await
            };
            // Where storage is denied or full, the memory of this session has it.
            Ok(put.await.is_ok())
        })
    }
}
