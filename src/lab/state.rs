//! A run as plain numbers: what it resumes from, on either engine.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::error::LabError;

/// Weights, moments, histories: named lists of arrays. Random streams are named by seed and step, so
/// they need no state of their own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    pub step: u64,
    numbers: BTreeMap<String, Vec<Vec<f32>>>,
}

impl State {
    pub fn new(step: u64) -> Self {
        Self { step, numbers: BTreeMap::new() }
    }

    pub fn put(&mut self, name: &str, arrays: Vec<Vec<f32>>) {
        self.numbers.insert(name.to_owned(), arrays);
    }

    /// The arrays under this name.
    ///
    /// # Errors
    ///
    /// When another version of the lab wrote the state, and the name is missing.
    pub fn get(&self, name: &str) -> Result<&[Vec<f32>], LabError> {
        let found = self.numbers.get(name).map(Vec::as_slice);
        found.ok_or_else(|| {
            LabError::data(format!("The saved run has no “{name}”; it was made by another version. Start it again."))
        })
    }

    /// Size in memory, near enough for a budget.
    pub fn bytes(&self) -> usize {
        self.numbers.values().flatten().map(|array| 4 * array.len() + 24).sum::<usize>() + 64
    }
}
