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

    /// Puts a text, three of its bytes in a number, of which a float holds 24 bits exactly.
    pub fn put_text(&mut self, name: &str, text: &str) {
        let packed = text.as_bytes().chunks(3).map(|bytes| {
            let bits =
                bytes.iter().enumerate().fold(0_u32, |bits, (place, &byte)| bits | u32::from(byte) << (8 * place));
            bits as f32
        });
        self.put(name, vec![vec![text.len() as f32], packed.collect()]);
    }

    /// The inverse of [`put_text`](Self::put_text).
    ///
    /// # Errors
    ///
    /// When another version of the lab wrote the state, and it holds no such text.
    pub fn get_text(&self, name: &str) -> Result<String, LabError> {
        let numbers = self.get(name)?;
        let packed = numbers.get(1).map(Vec::as_slice).unwrap_or_default();
        let mut bytes: Vec<u8> =
            packed.iter().flat_map(|&bits| (bits as u32).to_le_bytes().into_iter().take(3)).collect();
        bytes.truncate(numbers.first().and_then(|length| length.first()).map_or(0, |&length| length as usize));
        String::from_utf8(bytes).map_err(|_| {
            LabError::data("The saved run cannot be read; it was made by another version. Start it again.")
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
