//! Draw a distribution: one density, learned from draws.

use crate::chart::Ink;
use crate::lab::{Card, Frame, Host, Lab, LabError, State, Status};
use crate::params;

params! {
    pub struct DrawParams {
        /// Waves that the Fourier head may add up; more allow sharper peaks.
        frequencies: usize = int("Frequencies", 12, 1..=63).symbol("N"),
        /// Numbers drawn from the target for the heads to learn from.
        draws: usize = int("Draws", 400, 0..=5000).symbol("n"),
        /// Size of each optimizer step.
        learning_rate: f64 = real("Learning rate", 0.01, 1e-4..=0.3).symbol("η"),
        /// Shows the density that the draws come from.
        truth: bool = toggle("Show the truth", true).view().swatch(Ink::Truth),
    }
}

pub struct FourierHeadDraw;

impl Lab for FourierHeadDraw {
    const CARD: Card = Card {
        slug: "fourier-head-draw",
        title: "Draw a distribution",
        hook: "Can 26 numbers know more than 128?",
        papers: &[super::PAPER],
        presets: &[],
        experiments: &[],
        batches: &[],
    };
    type Params = DrawParams;

    async fn start(_: &DrawParams, _: &Host) -> Result<Self, LabError> {
        Ok(Self)
    }

    async fn step(&mut self, _: &Host) -> Result<Status, LabError> {
        Ok(Status::Done)
    }

    fn frame(&self, _: &DrawParams) -> Frame {
        Frame { step: 0, of: Some(600), panels: vec![], offers: vec![] }
    }

    async fn save(&self) -> Result<State, LabError> {
        Ok(State::new(0))
    }

    async fn restore(&mut self, _: &State, _: &Host) -> Result<(), LabError> {
        Ok(())
    }
}
