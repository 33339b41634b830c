//! What the card of RotateKV claims, judged on the shipped models: a seed chooses the model and draws the contexts.

use super::claims::SEEDS;
use super::quantizers::Quantizer;
use crate::lab::{Experiment, Measure, Outcome};

/// The setting of the card: two bits, outliers of four.
const CARD: &str = "σ = 4, 2 bits";

/// The largest figure, or NaN, which no bound accepts, if one is.
fn largest(figures: impl IntoIterator<Item = f64>) -> f64 {
    figures.into_iter().reduce(|a, b| if a.is_nan() || a >= b { a } else { b }).unwrap_or(f64::NAN)
}

/// By how much the method that answers least stays behind 16 bits.
fn worst_gap(runs: &Outcome, label: &str) -> f64 {
    let recall = |method: Quantizer| runs.get(label, &format!("recall_{}", method.value()));
    largest(Quantizer::ALL.iter().map(|&method| recall(Quantizer::Full) - recall(method)))
}

fn ratio(runs: &Outcome, label: &str, [key, of]: [&str; 2]) -> f64 {
    runs.get(label, key) / runs.get(label, of)
}

/// How far the readouts of two runs are apart.
fn apart(runs: &Outcome, [a, b]: [&str; 2], key: &str) -> f64 {
    (runs.get(a, key) - runs.get(b, key)).abs()
}

const KEYS: [&str; 2] = ["key_error_sorted", "key_error_groups"];
const RANGES: [&str; 2] = ["range_sorted", "range_unsorted"];
const CLIP: [&str; 2] = ["score_error_clipped", "score_error_sorted"];

pub const QUANTIZE: &[Experiment] = &[
    Experiment {
        id: "same-function",
        claim: "Outliers as large as one likes change nothing that the model says in 16 bits",
        paper: "rotatekv",
        point: 2,
        how: "8 contexts of 8 questions, severities 1, 4 and 12: the largest change of any logit, and of the share of right answers.",
        quick: true,
        runs: &[("σ = 1", "severity=1&contexts=8"), (CARD, "contexts=8"), ("σ = 12", "severity=12&contexts=8")],
        seeds: SEEDS,
        measures: &[
            Measure::at_most(
                "largest change of a logit",
                |runs| largest(["σ = 1", CARD, "σ = 12"].map(|label| runs.get(label, "shift"))),
                1e-3,
                "below .001",
            ),
            Measure::at_most(
                "change of recall in 16 bits",
                |runs| largest([CARD, "σ = 12"].map(|label| apart(runs, ["σ = 1", label], "recall_full"))),
                0.0,
                "equal",
            ),
        ],
    },
    Experiment {
        id: "rotation-helps",
        claim: "With outliers and two bits, rotating the keys of all heads together saves answers",
        paper: "rotatekv",
        point: 3,
        how: "32 contexts of 8 questions, σ = 4, a token in one group, before rotary positions.",
        quick: true,
        runs: &[(CARD, "")],
        seeds: SEEDS,
        measures: &[Measure::at_least(
            "recall, rotated − plain",
            |runs| runs.get(CARD, "recall_rotated") - runs.get(CARD, "recall_plain"),
            0.08,
            ".637 − .469, .551 − .281, .715 − .574",
        )],
    },
    Experiment {
        id: "sorting-helps",
        claim: "Sorting the channels makes groups shorter and keys more exact, with outliers and without",
        paper: "rotatekv",
        point: 4,
        how: "8 contexts, groups of 16 of rotated channels, two bits. Errors are means over both layers, ranges those of the upper one. The card asks for means over the seeds; here each seed must hold.",
        quick: true,
        runs: &[(CARD, "contexts=8"), ("σ = 1", "severity=1&contexts=8")],
        seeds: SEEDS,
        measures: &[
            Measure::at_most(
                "σ = 4: error of keys, sorted / unsorted",
                |runs| ratio(runs, CARD, KEYS),
                0.85,
                ".258 / .356 (means)",
            ),
            Measure::at_most(
                "σ = 1: error of keys, sorted / unsorted",
                |runs| ratio(runs, "σ = 1", KEYS),
                0.85,
                ".262 / .351 (means)",
            ),
            Measure::at_most(
                "σ = 4: range of a group, sorted / unsorted",
                |runs| ratio(runs, CARD, RANGES),
                0.75,
                ".65, .59, .49",
            ),
            Measure::at_most(
                "σ = 1: range of a group, sorted / unsorted",
                |runs| ratio(runs, "σ = 1", RANGES),
                0.75,
                ".64, .52, .55",
            ),
        ],
    },
    Experiment {
        id: "all-parts",
        claim: "All parts together answer most questions from two bits, where rounding token by token loses half",
        paper: "rotatekv",
        point: 5,
        how: "32 contexts of 8 questions, σ = 4, groups of 16, ρ = .8. The card asks for means over the seeds; here each seed must hold.",
        quick: true,
        runs: &[(CARD, "")],
        seeds: SEEDS,
        measures: &[
            Measure::at_least("recall, clipped", |runs| runs.get(CARD, "recall_clipped"), 0.8, ".883, .781, .871"),
            Measure::at_most(
                "recall, RTN a token in one group",
                |runs| runs.get(CARD, "recall_rtn"),
                0.6,
                ".508, .258, .527",
            ),
        ],
    },
    Experiment {
        id: "clipping",
        claim: "Clipping makes the scores of attention more exact at two bits and less exact at three",
        paper: "rotatekv",
        point: 6,
        how: "32 contexts, σ = 4, sorted groups of 16, ρ = .8 against 1. The card asks for means over the seeds; here each seed must hold.",
        quick: false,
        runs: &[(CARD, ""), ("3 bits", "bits=3")],
        seeds: SEEDS,
        measures: &[
            Measure::at_most(
                "2 bits: error of scores, clipped / not",
                |runs| ratio(runs, CARD, CLIP),
                1.0,
                ".99 / 1.04 (means)",
            ),
            Measure::at_least(
                "3 bits: error of scores, clipped / not",
                |runs| ratio(runs, "3 bits", CLIP),
                1.0,
                ".64 / .44 (means)",
            ),
        ],
    },
    Experiment {
        id: "enough-bits",
        claim: "Without outliers three bits are enough for every method; with them four are, if keys are rotated",
        paper: "rotatekv",
        point: 7,
        how: "32 contexts of 8 questions. The card asks for means over the seeds; here each seed must hold.",
        quick: false,
        runs: &[("σ = 1, 3 bits", "severity=1&bits=3"), ("σ = 4, 4 bits", "bits=4")],
        seeds: SEEDS,
        measures: &[
            Measure::at_most(
                "σ = 1, 3 bits: recall, 16 bits − worst method",
                |runs| worst_gap(runs, "σ = 1, 3 bits"),
                0.03,
                ".983 − .965 (means)",
            ),
            Measure::at_most(
                "σ = 4, 4 bits: recall, 16 bits − rotated",
                |runs| runs.get("σ = 4, 4 bits", "recall_full") - runs.get("σ = 4, 4 bits", "recall_rotated"),
                0.03,
                ".909 − .911 (one run)",
            ),
        ],
    },
    Experiment {
        id: "kivi-unmoved",
        claim: "KIVI does not notice outliers: levels along a channel grow with it",
        paper: "rotatekv",
        point: 8,
        how: "8 contexts of 8 questions, two bits, σ = 1 and σ = 4.",
        quick: true,
        runs: &[("σ = 1", "severity=1&contexts=8"), (CARD, "contexts=8")],
        seeds: SEEDS,
        measures: &[Measure::at_most(
            "change of recall",
            |runs| apart(runs, ["σ = 1", CARD], "recall_kivi"),
            0.0,
            ".926, .941, .887 for both",
        )],
    },
    Experiment {
        id: "bytes",
        claim: "What is stored takes b + 32/g + 16 n/T bits a number",
        paper: "rotatekv",
        point: 10,
        how: "Every method but KIVI, which has a window besides, in 2, 3, 4 and 8 bits: bits of what is packed beside the formula.",
        quick: true,
        runs: &[
            ("2 bits", "contexts=1"),
            ("3 bits", "contexts=1&bits=3"),
            ("4 bits", "contexts=1&bits=4"),
            ("8 bits", "contexts=1&bits=8&group=32"),
        ],
        seeds: SEEDS,
        measures: &[Measure::at_most(
            "largest difference, bits a number",
            |runs| largest(["2 bits", "3 bits", "4 bits", "8 bits"].map(|label| runs.get(label, "bits_off"))),
            1e-6,
            "equal to the byte",
        )],
    },
];

pub const BOTH: &[Experiment] = &[Experiment {
    id: "both",
    claim: "With the question seen, a few of the tokens in a few bits answer nearly all questions",
    paper: "rotatekv",
    point: 9,
    how: "32 contexts of 8 questions, EMS, then rotated, sorted, groups of 16, as trained.",
    quick: true,
    runs: &[
        ("15 %, 4 bits", "method=sorted&map=0&severity=1&keep=0.15&bits=4"),
        ("25 %, 2 bits", "method=sorted&map=0&severity=1&keep=0.25&bits=2"),
    ],
    seeds: SEEDS,
    measures: &[
        Measure::at_least(
            "15 % in 4 bits: recall",
            |runs| runs.get("15 %, 4 bits", "recall"),
            0.95,
            ".995, .984, .979",
        ),
        Measure::at_least(
            "25 % in 2 bits: recall",
            |runs| runs.get("25 %, 2 bits", "recall"),
            0.88,
            ".948, .911, .953",
        ),
    ],
}];
