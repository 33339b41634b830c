//! Ours, in a worker: the script beside it makes a work by its name and takes steps.

use peers::works::{self, Work};
use wasm_bindgen::prelude::wasm_bindgen;

// As the site's engines have it.
#[cfg(target_arch = "wasm32")]
#[global_allocator]
static ALLOCATOR: kernels::PoolAllocator = kernels::PoolAllocator::new(|_| ());

/// A work under way.
#[wasm_bindgen]
pub struct Doing(Box<dyn Work>);

#[wasm_bindgen]
impl Doing {
    /// Nothing for a name that no work has.
    pub fn start(work: &str) -> Option<Doing> {
        works::start(work).map(Doing)
    }

    pub fn step(&mut self) {
        self.0.step();
    }

    pub fn figures(&self) -> Vec<f64> {
        self.0.figures()
    }
}

fn main() {}
