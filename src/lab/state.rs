//! A run as plain numbers: what it resumes from, on either engine.

use std::collections::BTreeMap;

use burn::module::Module;
use serde::{Deserialize, Serialize};

use super::error::LabError;
use super::read::lost;
use crate::mech::adam::{Adam, AdamState, load_parameters, parameters};

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

    /// Puts a model and its optimizer.
    ///
    /// # Errors
    ///
    /// When the device is lost.
    pub async fn put_model<M: Module>(&mut self, name: &str, model: &M, adam: &Adam) -> Result<(), LabError> {
        self.put(name, parameters(model).await.map_err(lost)?);
        let AdamState { step, moments } = adam.state().await.map_err(lost)?;
        self.put(&format!("{name}, moments"), moments.into_iter().flatten().collect());
        self.put(&format!("{name}, steps"), vec![vec![step as f32]]);
        Ok(())
    }

    /// The inverse of [`put_model`](Self::put_model), for a model of the same architecture.
    ///
    /// # Errors
    ///
    /// When another version of the lab wrote the state, and something is missing.
    pub fn get_model<M: Module>(&self, name: &str, model: M, adam: &mut Adam) -> Result<M, LabError> {
        let moments = self.get(&format!("{name}, moments"))?;
        let steps = self.get(&format!("{name}, steps"))?;
        adam.load(&AdamState {
            step: steps.first().and_then(|steps| steps.first()).map_or(0, |&step| step as u64),
            moments: moments.as_chunks::<2>().0.to_vec(),
        });
        Ok(load_parameters(model, self.get(name)?))
    }

    /// Size in memory, near enough for a budget.
    pub fn bytes(&self) -> usize {
        self.numbers.values().flatten().map(|array| 4 * array.len() + 24).sum::<usize>() + 64
    }
}
