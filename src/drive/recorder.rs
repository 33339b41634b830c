//! Past steps of a run, under a budget.

use crate::lab::{Frame, State};

/// Bytes that the record of one run may take.
pub const BUDGET: usize = 32 << 20;
/// Steps worth having on a time line; more would cost the run without being seen.
const ENTRIES: usize = 150;

/// States and frames of some past steps, evenly apart.
pub struct Recorder {
    stride: u64,
    budget: usize,
    bytes: usize,
    entries: Vec<Entry>,
}

/// How far apart the steps of a run on record are, as long as they have room.
pub fn stride(of: Option<u64>) -> u64 {
    of.map_or(1, |of| of.div_ceil(ENTRIES as u64)).max(1)
}

struct Entry {
    state: State,
    frame: Frame,
    bytes: usize,
}

impl Recorder {
    /// For a run of `of` steps, if it is bounded.
    pub fn new(of: Option<u64>, budget: usize) -> Self {
        Self { stride: stride(of), budget, bytes: 0, entries: Vec::new() }
    }

    /// Whether this step is to be recorded.
    pub fn wants(&self, step: u64) -> bool {
        step.is_multiple_of(self.stride) && self.last().is_none_or(|last| step > last)
    }

    pub fn record(&mut self, state: State, frame: Frame) {
        let bytes = state.bytes() + postcard::experimental::serialized_size(&frame).unwrap_or(0);
        // A lab whose steps do not count has one entry: entries of one step could never be thinned apart.
        if let Some(same) = self.entries.pop_if(|last| last.state.step == state.step) {
            self.bytes -= same.bytes;
        }
        self.bytes += bytes;
        self.entries.push(Entry { state, frame, bytes });
        while self.bytes > self.budget || self.entries.len() > 2 * ENTRIES {
            if self.entries.len() < 2 {
                break;
            }
            self.stride *= 2;
            let stride = self.stride;
            self.entries.retain(|entry| entry.state.step.is_multiple_of(stride));
            self.bytes = self.entries.iter().map(|entry| entry.bytes).sum();
        }
    }

    /// The last recorded step not after `step`, or the first there is.
    pub fn at(&self, step: u64) -> Option<(&State, &Frame)> {
        let after = self.entries.partition_point(|entry| entry.state.step <= step);
        self.entries.get(after.saturating_sub(1)).map(|entry| (&entry.state, &entry.frame))
    }

    /// The newest recorded step.
    pub fn last(&self) -> Option<u64> {
        self.entries.last().map(|entry| entry.state.step)
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }
}
