//! A host for labs that run here: the CPU, the site's own files, and nothing else of the world but what a test puts there.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::{Future, ready};
use std::path::Path;
use std::pin::Pin;
use std::rc::Rc;

use burn::tensor::Device;
use heads_and_tails::lab::{Host, HttpRequest, HttpResponse, LabError, Task, World};

/// What the reader's own server answers.
type Answers = dyn Fn(HttpRequest) -> Result<HttpResponse, LabError>;

#[derive(Default)]
struct Site {
    /// What was given for any parameter.
    given: Option<Rc<[u8]>>,
    server: Option<Box<Answers>>,
    sent: Cell<u32>,
    /// What was kept, as long as this host lives.
    kept: RefCell<HashMap<String, Vec<u8>>>,
}

impl World for Site {
    fn asset<'a>(&'a self, path: &'a str) -> Task<'a, Vec<u8>> {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("public").join(path);
        let failed = |error: std::io::Error| LabError::Asset { path: path.to_owned(), message: error.to_string() };
        Box::pin(ready(std::fs::read(file).map_err(failed)))
    }

    fn file(&self, _key: &str) -> Option<Rc<[u8]>> {
        self.given.clone()
    }

    fn kept<'a>(&'a self, key: &'a str) -> Task<'a, Option<Vec<u8>>> {
        Box::pin(ready(Ok(self.kept.borrow().get(key).cloned())))
    }

    fn keep<'a>(&'a self, key: &'a str, bytes: &'a [u8]) -> Task<'a, bool> {
        self.kept.borrow_mut().insert(key.to_owned(), bytes.to_vec());
        Box::pin(ready(Ok(false)))
    }

    fn http(&self, request: HttpRequest) -> Task<'_, HttpResponse> {
        self.sent.set(self.sent.get() + u32::from(self.server.is_some()));
        Box::pin(ready(self.server.as_ref().map_or(Err(LabError::NoAddress), |server| server(request))))
    }

    fn sent(&self) -> u32 {
        self.sent.get()
    }

    fn now(&self) -> f64 {
        0.0
    }

    fn breathe(&self) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        Box::pin(ready(()))
    }
}

pub fn host() -> Host {
    Host::new(Device::flex(), Rc::new(Site::default()))
}

/// The same with a file of the reader's.
pub fn host_with(file: &[u8]) -> Host {
    Host::new(Device::flex(), Rc::new(Site { given: Some(file.into()), ..Site::default() }))
}

/// The same with a server of the reader's.
pub fn host_asking(server: impl Fn(HttpRequest) -> Result<HttpResponse, LabError> + 'static) -> Host {
    Host::new(Device::flex(), Rc::new(Site { server: Some(Box::new(server)), ..Site::default() }))
}
