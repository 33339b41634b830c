//! What the card claims, judged on the shipped models: a seed chooses the model and draws the texts.

use crate::lab::{Experiment, Measure, Outcome};

const SEEDS: &[u64] = &[0, 1, 2];

const HOW: &str = "Eight texts of each length, with eight questions about each: 64 answers a length. Lengths are 128, 256, 512 and 1,024 tokens. Chunks of 8, of which a head looks at 12.";

/// What the claims share that are judged on chunks of 8 tokens.
const EIGHT: Experiment = Experiment {
    id: "",
    claim: "",
    paper: "longheads",
    point: 1,
    how: HOW,
    quick: false,
    runs: &[("w 8", "")],
    seeds: SEEDS,
    measures: &[],
};

/// The greatest of some figures, or NaN, which no bound accepts, if one is.
fn most(runs: &Outcome, label: &str, keys: &[&str]) -> f64 {
    let figures = keys.iter().map(|key| runs.get(label, key));
    figures.reduce(|a, b| if a.is_nan() || a >= b { a } else { b }).unwrap_or(f64::NAN)
}

/// The least of them.
fn least(runs: &Outcome, label: &str, keys: &[&str]) -> f64 {
    let figures = keys.iter().map(|key| runs.get(label, key));
    figures.reduce(|a, b| if a.is_nan() || a <= b { a } else { b }).unwrap_or(f64::NAN)
}

/// LongHeads at the four lengths.
const LONG_HEADS: [&str; 4] = ["recall_longheads_1", "recall_longheads_2", "recall_longheads_4", "recall_longheads_8"];

/// Its mean beyond the trained length.
fn beyond(runs: &Outcome, label: &str) -> f64 {
    LONG_HEADS[1..].iter().map(|key| runs.get(label, key)).sum::<f64>() / 3.0
}

pub const MAP: &[Experiment] = &[
    Experiment {
        id: "reads-beyond",
        claim: "LongHeads finds facts in texts eight times as long as any that the model was trained on",
        measures: &[
            Measure::at_least(
                "least of 128 to 1,024",
                |runs| least(runs, "w 8", &LONG_HEADS),
                0.7,
                ".97, .88, .86, .88 (means)",
            ),
            Measure::at_least(
                "512: LongHeads − full attention",
                |runs| runs.get("w 8", "recall_longheads_4") - runs.get("w 8", "recall_full_4"),
                0.2,
                ".86 − .45 (means)",
            ),
            Measure::at_least(
                "1,024: LongHeads − full attention",
                |runs| runs.get("w 8", "recall_longheads_8") - runs.get("w 8", "recall_full_8"),
                0.35,
                ".88 − .22 (means)",
            ),
        ],
        ..EIGHT
    },
    Experiment {
        id: "others-fail",
        claim: "Full attention leaves what it was trained for, a window forgets, and chunks chosen by chance hold nothing",
        measures: &[
            Measure::at_most("full attention, 512", |runs| runs.get("w 8", "recall_full_4"), 0.6, ".45 (mean)"),
            Measure::at_most("full attention, 1,024", |runs| runs.get("w 8", "recall_full_8"), 0.45, ".29, .04, .33"),
            Measure::at_most(
                "window, most from 256 on",
                |runs| most(runs, "w 8", &["recall_window_2", "recall_window_4", "recall_window_8"]),
                0.4,
                ".28 (mean at 256)",
            ),
            Measure::at_most(
                "sinks + window, most from 256 on",
                |runs| most(runs, "w 8", &["recall_sinks_2", "recall_sinks_4", "recall_sinks_8"]),
                0.4,
                ".28 (mean at 256)",
            ),
            Measure::at_most(
                "random chunks, most from 512 on",
                |runs| most(runs, "w 8", &["recall_random_4", "recall_random_8"]),
                0.4,
                ".24 (mean at 512)",
            ),
        ],
        ..EIGHT
    },
    Experiment {
        id: "told",
        claim: "Who is told the chunk answers: reading is not what is hard, finding is",
        measures: &[Measure::at_least(
            "least of 128 to 1,024",
            |runs| {
                let keys = ["recall_oracle_1", "recall_oracle_2", "recall_oracle_4", "recall_oracle_8"];
                least(runs, "w 8", &keys)
            },
            0.95,
            "1.0, .99, 1.0, 1.0 (means)",
        )],
        ..EIGHT
    },
    Experiment {
        id: "squeezed",
        claim: "Squeezing positions finds facts too, at the full quadratic cost",
        measures: &[Measure::at_least(
            "interpolation, least of 128 to 1,024",
            |runs| {
                let keys = [
                    "recall_interpolation_1",
                    "recall_interpolation_2",
                    "recall_interpolation_4",
                    "recall_interpolation_8",
                ];
                least(runs, "w 8", &keys)
            },
            0.7,
            ".96, .99, .95, .92 (means)",
        )],
        ..EIGHT
    },
    Experiment {
        id: "chunk-size",
        claim: "Chunks must be small beside a statement: those of 4 find more than those of 8, and these more than those of 16",
        how: "The same with 24 chunks of 4, 12 of 8 and 6 of 16: each head looks at 96 tokens. Each seed must hold.",
        runs: &[("w 4", "width=4&chunks=24"), ("w 8", ""), ("w 16", "width=16&chunks=6")],
        measures: &[
            Measure::at_least(
                "w 4, least of 128 to 1,024",
                |runs| least(runs, "w 4", &LONG_HEADS),
                0.75,
                ".97, .96, .91, .95 (means)",
            ),
            Measure::at_least(
                "w 8 − w 16, mean from 256 on",
                |runs| beyond(runs, "w 8") - beyond(runs, "w 16"),
                0.0,
                ".87 − .74 (means)",
            ),
        ],
        ..EIGHT
    },
    Experiment {
        id: "division-of-labor",
        claim: "Some head of the upper layer sees the fact that is asked for",
        point: 3,
        how: "LongHeads, while the last word of the question is read. Each head looks at 12 chunks.",
        measures: &[
            Measure::at_least("512: fact seen by some head", |runs| runs.get("w 8", "any_4"), 0.85, "1.0, .88, 1.0"),
            Measure::at_least("1,024: fact seen by some head", |runs| runs.get("w 8", "any_8"), 0.85, "1.0, 1.0, .94"),
        ],
        ..EIGHT
    },
    Experiment {
        id: "together",
        claim: "Together the heads of the upper layer see far more than any alone",
        point: 4,
        how: "LongHeads, while the last word of the question is read. Each head looks at 12 chunks, of the 65 or 129 that there are with the question.",
        measures: &[
            Measure::at_least("512: chunks seen together", |runs| runs.get("w 8", "covered_4"), 25.0, "25 to 30"),
            Measure::at_least("1,024: chunks seen together", |runs| runs.get("w 8", "covered_8"), 29.0, "29 to 32"),
        ],
        ..EIGHT
    },
    Experiment {
        id: "perplexity-says-little",
        claim: "The perplexity of LongHeads is at most a little above that of full attention",
        point: 5,
        how: "24 fillers after texts of 1,024 tokens.",
        measures: &[Measure::at_most(
            "LongHeads / full attention, at 1,024",
            |runs| runs.get("w 8", "perplexity_longheads_8") / runs.get("w 8", "perplexity_full_8"),
            1.1,
            "13.2 / 13.0 (seed 0)",
        )],
        ..EIGHT
    },
    Experiment {
        id: "same-sight",
        claim: "However long the text, a head looks at no more keys",
        point: 6,
        how: "So by construction: 12 chunks of 8. What is measured is that none is seen twice or comes on top.",
        measures: &[Measure::at_most("keys a head looks at, 1,024", |runs| runs.get("w 8", "keys_8"), 96.0, "A = 96")],
        ..EIGHT
    },
];
