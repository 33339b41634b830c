//! Induction heads: a network learns, all at once, to look one back and copy.
//!
//! What its labs share: the page, the paper.

mod claims;
pub mod reduced;
pub mod run;

use crate::lab::{Page, Paper};

pub const PAGE: Page = Page { slug: "induction", name: "Induction heads" };

pub const PAPER: Paper = Paper {
    slug: "induction",
    name: "Induction heads",
    title: "The mechanistic basis of data dependence and abrupt learning in an in-context classification task",
    cite: "Reddy, ICLR 2024",
    authors: "Gautam Reddy",
    arxiv: "2312.03002",
    repository: "",
    claim: "In-context learning comes abruptly, when an induction head forms out of nested logits, and the statistics of the data decide whether it forms at all.",
};
