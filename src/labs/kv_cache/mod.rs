//! Caches of keys and values, compressed: which tokens stay, and in how many bits.
//!
//! What its labs share: the page, the papers, the shipped models with what they read, and the methods.

mod ask;
pub mod both;
mod claims;
pub mod evict;
mod figures;
pub mod generate;
mod held_out;
mod measured;
mod methods;
pub mod own;
mod passage;
pub mod quantize;
mod quantizers;
mod rotate_kv_claims;
mod rounding;
pub mod train;
mod writers;

use crate::lab::{Page, Paper};

/// The length of what was found less what should have been, as a share of the length of this.
fn relative_error(found: &[f32], whole: &[f32]) -> f64 {
    let off: Vec<f32> = found.iter().zip(whole).map(|(found, whole)| found - whole).collect();
    relative(&off, whole)
}

/// The length of errors, as a share of that of what they are errors of.
fn relative(errors: &[f32], of: &[f32]) -> f64 {
    let size = kernels::sum_of_squares(of);
    if size > 0.0 { libm::sqrt(kernels::sum_of_squares(errors) / size) } else { 0.0 }
}

pub const PAGE: Page = Page { slug: "kv-cache", name: "KV-cache compression" };

pub const EMS: Paper = Paper {
    slug: "ems",
    name: "EMS",
    title: "EMS: Adaptive Evict-then-Merge Strategy for Head-wise KV Cache Compression Based on Global-Local Importance",
    cite: "Li et al., 2024",
    authors: "Li, Li, Meng, Ma, Geng, Xia, Wang",
    arxiv: "2412.08521",
    repository: "",
    claim: "Scores that join early and late attention, and merging where a head has look-alikes, keep more of a long context in a small cache.",
};

pub const ROTATE_KV: Paper = Paper {
    slug: "rotatekv",
    name: "RotateKV",
    title: "RotateKV: Accurate and Robust 2-Bit KV Cache Quantization for LLMs via Outlier-Aware Adaptive Rotations",
    cite: "Su et al., IJCAI 2025",
    authors: "Su, Wei, Chen, Shen, Li, Yu, Yuan",
    arxiv: "2501.16383",
    repository: "https://github.com/ZunhaiSu/RotateKV",
    claim: "Two bits a number are enough for a cache whose keys were rotated, so that a few large channels do not spoil the others.",
};
