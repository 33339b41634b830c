//! The registry: one line a lab.
//!
//! What a lab says ([`CATALOGUE`]) is kept apart from what it does ([`RUNNERS`]): the page refers only to the
//! first, so no tensor library is linked into it.

pub mod fourier_head;

use crate::drive::Runner;
use crate::lab::{Card, Lab, ParamSet, ParamSpec};

/// What the page knows of a lab.
#[derive(Clone, Copy)]
pub struct Entry {
    pub card: Card,
    pub specs: &'static [ParamSpec],
}

macro_rules! labs {
    ($($lab:path,)*) => {
        /// Every lab, in the order of the home page and of the tabs.
        pub static CATALOGUE: &[Entry] = &[$(Entry { card: <$lab>::CARD, specs: <<$lab as Lab>::Params>::SPECS },)*];
        /// How each is run.
        pub static RUNNERS: &[Runner] = &[$(Runner::of::<$lab>(),)*];
    };
}

labs! {
    fourier_head::draw::FourierHeadDraw,
    fourier_head::heads::FourierHeads,
    fourier_head::random::FourierRandom,
    fourier_head::series::FourierSeries,
    fourier_head::own::FourierOwn,
}

/// The entry of the lab with this slug.
pub fn entry(slug: &str) -> Option<&'static Entry> {
    CATALOGUE.iter().find(|entry| entry.card.slug == slug)
}
