//! All that a lab may ask of the world.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::error::LabError;
use super::params::FileName;

/// A result that is on its way. Not `Send`: a lab runs on one thread.
pub type Task<'a, T> = Pin<Box<dyn Future<Output = Result<T, LabError>> + 'a>>;

/// What the world offers: the browser's is in the engine, tests have a double.
pub trait World {
    /// A file of the site, by its path below the site's root.
    fn asset<'a>(&'a self, path: &'a str) -> Task<'a, Vec<u8>>;
    /// The bytes of a file that the reader gave for this parameter.
    fn file(&self, key: &str) -> Option<Rc<[u8]>>;
    /// What was kept under this key, in this session or an earlier one.
    fn kept<'a>(&'a self, key: &'a str) -> Task<'a, Option<Vec<u8>>>;
    /// Keeps bytes under a key that says what made them; whether they outlive this engine.
    fn keep<'a>(&'a self, key: &'a str, bytes: &'a [u8]) -> Task<'a, bool>;
    /// A request to the one address that the reader typed. Dropping the task cancels it.
    fn http(&self, request: HttpRequest) -> Task<'_, HttpResponse>;
    /// How often requests were sent so far: one that a busy server turned down, or that was given up, is sent anew.
    fn sent(&self) -> u32;
    /// Milliseconds since some moment; only for numbers marked as measured.
    fn now(&self) -> f64;
    /// Lets the world speak, if it has been quiet for a while: long work awaits this between its parts, so that
    /// it can be stopped.
    fn breathe(&self) -> Pin<Box<dyn Future<Output = ()> + '_>>;
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpRequest {
    pub method: String,
    /// Path below the address that the reader typed.
    pub path: String,
    pub body: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpResponse {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// The device that a lab computes on, and the world.
#[derive(Clone)]
pub struct Host {
    /// Plain device; training is on `device.clone().autodiff()`.
    pub device: Device,
    /// How many runs of a batch may share tensors. On the CPU none: they would gain nothing, end all at once instead of
    /// one by one, and part from the same runs alone in their last digits.
    pub together: usize,
    world: Rc<dyn World>,
}

/// Runs that share tensors on a GPU: the dispatches are those of one, the memory is that of all.
const TOGETHER: usize = 32;

impl std::ops::Deref for Host {
    type Target = dyn World;

    fn deref(&self) -> &Self::Target {
        &*self.world
    }
}

impl Host {
    pub fn new(device: Device, world: Rc<dyn World>) -> Self {
        let together = if device == Device::flex() { 1 } else { TOGETHER };
        Self { device, together, world }
    }

    /// The bytes of the file that the parameter with this key names; none if it names none.
    ///
    /// # Errors
    ///
    /// When it names one that nobody has given here: a link holds a name alone.
    pub fn given(&self, key: &str, file: &FileName) -> Result<Option<Rc<[u8]>>, LabError> {
        match (file.0.as_str(), self.file(key)) {
            ("", _) => Ok(None),
            (_, Some(bytes)) => Ok(Some(bytes)),
            (name, None) => Err(LabError::data(format!(
                "This link was made with the file “{name}”, which is not in the link. Drop it on its field, or clear the name."
            ))),
        }
    }
}
