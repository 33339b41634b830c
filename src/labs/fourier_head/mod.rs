//! Fourier Head: a classification head whose bins know their neighbors.

pub mod draw;

use crate::lab::Paper;

pub const PAPER: Paper = Paper {
    slug: "fourier-head",
    name: "Fourier head",
    title: "Fourier Head: Helping Large Language Models Learn Complex Probability Distributions",
    cite: "Gillman et al., ICLR 2025",
    authors: "Nate Gillman, Daksh Aggarwal, Michael Freeman, Saurabh Singh, Chen Sun",
    arxiv: "2410.22269",
    repository: "https://github.com/nate-gillman/fourier-head",
    claim: "A head that reads its bins off a truncated Fourier series learns smooth densities from few examples.",
};
