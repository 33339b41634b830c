#![expect(clippy::unwrap_used, reason = "a test that finds nothing to unwrap has failed")]

mod catalogue;
mod charts;
mod claims;
mod drive;
mod fourier;
mod golden;
mod made_up;
mod ops;
mod params;
mod seed;
mod site;
mod tidy;
