//! Statements that are true and improbable, found by filling a rule's variables one by one.
//!
//! What its labs share: the page, the paper, the models of a world.

mod asked;
mod claims;
mod figures;
mod interview;
mod menu;
pub mod models;
mod outcome;
pub mod own;
pub mod search;
pub mod world;

use crate::lab::{Page, Paper};

pub const PAGE: Page = Page { slug: "link", name: "LINK" };

pub const PAPER: Paper = Paper {
    slug: "link",
    name: "LINK",
    title: "In Search of the Long-Tail: Systematic Generation of Long-Tail Inferential Knowledge via Logical Rule Guided Search",
    cite: "Li et al., EMNLP 2024",
    authors: "Li, Ning, Liao, Wang, Li, Lu, Zhao, Brahman, Choi, Ren",
    arxiv: "2311.07237",
    repository: "https://github.com/INK-USC/LINK",
    claim: "A language model that is asked for rare knowledge answers with the common or the false; one that fills a rule variable by variable, each proposal verified and reranked, finds statements that are true and improbable.",
};
