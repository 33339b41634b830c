//! Texts longer than a model was trained on: each head looks at a few chunks of its own choice.
//!
//! What its labs share: the page, the paper, the ways to read.

mod claims;
pub mod map;
pub mod own;
pub mod read;
mod ways;

use crate::lab::{Page, Paper};

pub const PAGE: Page = Page { slug: "longheads", name: "LongHeads" };

pub const PAPER: Paper = Paper {
    slug: "longheads",
    name: "LongHeads",
    title: "LongHeads: Multi-Head Attention is Secretly a Long Context Processor",
    cite: "Lu et al., 2024",
    authors: "Lu, Zhou, He, Zhao, Ji, Gui, Zhang, Huang",
    arxiv: "2402.10685",
    repository: "https://github.com/LuLuLuyi/LongHeads",
    claim: "A model reads far longer texts than it was trained on, without training and in linear time, if each of its heads looks at a few chunks that it chooses itself.",
};
