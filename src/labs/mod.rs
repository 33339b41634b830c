//! The registry: one line a lab.
//!
//! What a lab says ([`CATALOGUE`]) is kept apart from what it does ([`RUNNERS`]): the page refers only to the
//! first, so no tensor library is linked into it.

mod cache_source;
pub mod fourier_head;
mod house_figures;
mod house_model;
pub mod induction;
pub mod kv_cache;
pub mod link;
pub mod longheads;

use crate::drive::Runner;
use crate::lab::{Card, Lab, ParamSet, ParamSpec, Readouts, Row, Table, Values};

/// What the page knows of a lab.
#[derive(Clone, Copy)]
pub struct Entry {
    pub card: Card,
    pub specs: &'static [ParamSpec],
}

impl Entry {
    /// Names of the figures of its batches: what these draw of a run that says nothing.
    pub fn batch_figures(&self) -> Vec<String> {
        let query = Values::defaults(self.specs).to_query();
        let silent = [Row { label: String::new(), query, readouts: Readouts::new(), found: Table::default() }];
        self.card.batches.iter().flat_map(|batch| (batch.draw)(&silent)).map(|panel| panel.id).collect()
    }
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
    induction::run::Induction,
    induction::reduced::InductionReduced,
    kv_cache::evict::KvCacheEvict,
    kv_cache::quantize::KvCacheQuantize,
    kv_cache::both::KvCacheBoth,
    kv_cache::generate::KvCacheGenerate,
    kv_cache::train::KvCacheTrain,
    kv_cache::own::KvCacheOwn,
    longheads::read::LongHeadsRead,
    longheads::map::LongHeadsMap,
    longheads::own::LongHeadsOwn,
    link::search::LinkSearch,
    link::world::LinkWorld,
    link::own::LinkOwn,
}

/// What stands first on the home page: one figure of one lab, with a few of its parameters.
pub struct Hero {
    pub lab: &'static str,
    pub panel: &'static str,
    pub parameters: &'static [&'static str],
    pub title: &'static str,
    /// What the words of the title mean.
    pub lead: &'static str,
    pub hint: &'static str,
}

pub const HERO: Hero = Hero {
    lab: "fourier-head-draw",
    panel: "density",
    parameters: &["target", "frequencies", "draws", "linear"],
    title: "Paint where the numbers fall. Three heads will try to learn it.",
    lead: "A head is the last layer of a network: it turns what the network knows into probabilities. Each lab here trains some, from a paper and beside their rivals, in this tab while you watch.",
    hint: "Gray: the draws that they see. Thin: the truth, which they do not. Paint on the figure for a target of your own.",
};

/// The entry of the lab with this slug.
pub fn entry(slug: &str) -> Option<&'static Entry> {
    CATALOGUE.iter().find(|entry| entry.card.slug == slug)
}
