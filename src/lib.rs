//! Heads & Tails: mechanisms of machine-learning papers that run in the reader's browser.
//!
//! # The shape
//!
//! A pure library, a thin shell, disposable engines. A lab is a folder that turns parameters into frames; whatever
//! a person touches is a parameter; a frame is data.
//!
//! - [`seed`]: named random streams, the same on every machine.
//! - `kernels` (a crate of its own) and [`mech`]: what the papers invented, tensors or plain numbers in and out.
//! - [`chart`]: figures as data, and how they are drawn and read.
//! - [`lab`]: the vocabulary. A [`Lab`](lab::Lab) starts from its parameters, takes steps, and says what is seen; a
//!   [`Card`](lab::Card) is what it says of itself without running.
//! - [`labs`]: every lab, one folder a page, and the registry.
//! - [`drive`]: the loop that runs any of them, paces it, records it, and answers looks at the past. It speaks in
//!   commands and events through a port, so it is the same in a worker and in a test.
//! - `engine`: the browser's side of that port; only in the engines.
//!
//! The page (`src/bin/app`) links [`labs::CATALOGUE`] and never [`labs::RUNNERS`], so no tensor library reaches it. Each
//! engine (`src/bin/*-engine`) is that loop around a device. They are binaries, and a library
//! cannot import a binary: that mechanisms know nothing of the page is a compile error, not a habit.
//!
//! # One step, from hand to picture
//!
//! A slider sets a parameter in the page's one store. The page sends it to the engine, or starts a run when the
//! parameter asks for one. The lab computes, reads back once, and describes what is seen as a [`Frame`](lab::Frame).
//! The frame travels as bytes; the page draws it and answers that it has seen it; only then does the next one come.
//!
//! `tests/it/tidy.rs` holds what no part may do.

pub mod chart;
pub mod drive;
#[cfg(feature = "engine")]
pub mod engine;
pub mod lab;
pub mod labs;
pub mod mech;
pub mod seed;
