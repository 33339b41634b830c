//! Mechanisms of machine-learning papers that run in the reader's browser.

pub mod chart;
pub mod drive;
#[cfg(feature = "engine")]
pub mod engine;
pub mod lab;
pub mod labs;
pub mod mech;
pub mod seed;
