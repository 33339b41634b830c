//! What the card claims, judged on the shipped models over the four rules that the world's texts are made of.
//!
//! A seed draws the proposals; single searches can collapse, for one wrong early value spreads over the beam, so that each
//! figure is a mean over the rules.

use crate::lab::{Experiment, Measure, Outcome};

const SEEDS: &[u64] = &[0, 1, 2];
const RULES: [&str; 4] = ["eat", "era", "safe", "wild"];

const CLAIM: Experiment = Experiment {
    id: "",
    claim: "",
    paper: "link",
    point: 4,
    how: "The four rules that the world's texts are made of; beam 24, four calls for 12 values each at temperature 0.9.",
    quick: true,
    runs: &[],
    seeds: SEEDS,
    measures: &[],
};

/// The mean over the rules.
fn mean(runs: &Outcome, key: &str) -> f64 {
    RULES.iter().map(|rule| runs.get(rule, key)).sum::<f64>() / RULES.len() as f64
}

/// The mean over the rules of which there is a figure: a tail of which nothing is true has no likelihood of true ones.
fn mean_of_known(runs: &Outcome, key: &str) -> f64 {
    let figures: Vec<f64> = RULES.iter().map(|rule| runs.get(rule, key)).filter(|figure| figure.is_finite()).collect();
    figures.iter().sum::<f64>() / figures.len() as f64
}

/// The least over the rules, or not a number, if one is missing.
fn least(runs: &Outcome, keys: [&str; 2]) -> f64 {
    let figures = RULES.iter().flat_map(|rule| keys.map(|key| runs.get(rule, key)));
    figures.reduce(|a, b| if a.is_nan() || a <= b { a } else { b }).unwrap_or(f64::NAN)
}

pub const SEARCH: &[Experiment] = &[
    Experiment {
        id: "asking-fails",
        claim: "Asked at one go, a model gives head and tail alike; asked for rarer, it makes things up",
        point: 3,
        runs: &[
            ("eat", "rule=eat&critic=world"),
            ("era", "rule=era&critic=world"),
            ("safe", "rule=safe&critic=world"),
            ("wild", "rule=wild&critic=world"),
        ],
        measures: &[
            Measure::at_least(
                "asked at one go: true",
                |runs| (mean(runs, "direct_head") + mean(runs, "direct_tail")) / 2.0,
                0.7,
                ".868, .826 (means)",
            ),
            Measure::at_most("asked at one go: |δ|", |runs| mean(runs, "direct_delta").abs(), 0.06, "−.001 (mean)"),
            Measure::at_most(
                "asked for rarer: true in the tail",
                |runs| mean(runs, "heated_tail"),
                0.65,
                ".441 (mean)",
            ),
        ],
        ..CLAIM
    },
    Experiment {
        id: "world-as-critic",
        claim: "With a critic that is always right, variable by variable gives a tail that is true and improbable",
        point: 4,
        runs: &[
            ("eat", "rule=eat&critic=world"),
            ("era", "rule=era&critic=world"),
            ("safe", "rule=safe&critic=world"),
            ("wild", "rule=wild&critic=world"),
        ],
        measures: &[
            Measure::at_least(
                "true in head and tail, least",
                |runs| least(runs, ["head_correct", "tail_correct"]),
                1.0,
                "1.000",
            ),
            Measure::at_least("δ", |runs| mean(runs, "delta"), 0.12, ".188 (mean)"),
            Measure::at_least(
                "δ − δ of ranking afterwards",
                |runs| mean(runs, "delta") - mean(runs, "posthoc_delta"),
                0.04,
                ".188 − .088 (means)",
            ),
        ],
        ..CLAIM
    },
    Experiment {
        id: "learned-critic",
        claim: "With a learned critic most of the tail is true, and it is improbable still",
        point: 5,
        runs: &[("eat", "rule=eat"), ("era", "rule=era"), ("safe", "rule=safe"), ("wild", "rule=wild")],
        seeds: &[0, 1, 2, 3, 4],
        measures: &[
            Measure::mean_at_least(
                "true in the head",
                |runs| mean(runs, "head_correct"),
                0.95,
                "1.000 (mean of seeds 0–4)",
            ),
            Measure::mean_at_least(
                "true in the tail",
                |runs| mean(runs, "tail_correct"),
                0.65,
                ".836 (mean of seeds 0–4)",
            ),
            Measure::mean_at_least(
                "δ of true ones",
                |runs| mean_of_known(runs, "delta_true"),
                0.1,
                ".186 (mean of seeds 0–4)",
            ),
        ],
        ..CLAIM
    },
    Experiment {
        id: "no-critic",
        claim: "Without a critic the tail is nonsense, and δ is huge for that very reason",
        point: 6,
        runs: &[
            ("eat", "rule=eat&critic=none"),
            ("era", "rule=era&critic=none"),
            ("safe", "rule=safe&critic=none"),
            ("wild", "rule=wild&critic=none"),
        ],
        measures: &[
            Measure::at_most("true in the tail", |runs| mean(runs, "tail_correct"), 0.05, ".000 (mean)"),
            Measure::at_least("δ", |runs| mean(runs, "delta"), 1.5, "2.60 (mean)"),
        ],
        ..CLAIM
    },
    Experiment {
        id: "no-reranker",
        claim: "Without a reranker there is no tail",
        point: 6,
        runs: &[
            ("eat", "rule=eat&critic=learned&rerank=false"),
            ("era", "rule=era&critic=learned&rerank=false"),
            ("safe", "rule=safe&critic=learned&rerank=false"),
            ("wild", "rule=wild&critic=learned&rerank=false"),
        ],
        measures: &[Measure::at_most(
            "|δ|",
            |runs| mean(runs, "delta").abs(),
            0.08,
            ".006 (mean; single searches −.10 to .20)",
        )],
        ..CLAIM
    },
    Experiment {
        id: "critic-knowledge",
        claim: "A critic that saw facts as often as they are popular knows the head and not the tail",
        point: 7,
        how: "Every fact of the rule's last relation, by popularity in thirds: the share that the critic believes.",
        runs: &[("eat", "rule=eat&critic=world")],
        measures: &[Measure::at_least(
            "most popular third − least",
            |runs| runs.get("eat", "recall_top_head") - runs.get("eat", "recall_bottom_head"),
            0.25,
            ".98 − .19",
        )],
        ..CLAIM
    },
    Experiment {
        id: "worse-on-the-tail",
        claim: "A model that knows the head believes less of what is true in the tail",
        point: 8,
        how: "The true statements of a search whose critic is the world; one counts if the critic believes all its facts.",
        runs: &[
            ("eat", "rule=eat&critic=world"),
            ("era", "rule=era&critic=world"),
            ("safe", "rule=safe&critic=world"),
            ("wild", "rule=wild&critic=world"),
        ],
        measures: &[Measure::at_least("head − tail", |runs| mean(runs, "drop_head"), 0.08, ".983 − .771 (means)")],
        ..CLAIM
    },
    Experiment {
        id: "new-rules",
        claim: "A rule that the models never read is searched all the same, and the world as critic keeps it true",
        point: 9,
        how: "Rules of the menu with two premises, whose own sentences no model knows.",
        runs: &[
            ("shop", "rule=shop&critic=world"),
            ("tomb", "rule=tomb&critic=world"),
            ("store", "rule=store&critic=world"),
            ("map", "rule=map&critic=world"),
        ],
        measures: &[Measure::at_least(
            "true in head and tail, least",
            |runs| {
                let figures = ["shop", "tomb", "store", "map"]
                    .iter()
                    .flat_map(|rule| ["head_correct", "tail_correct"].map(|key| runs.get(rule, key)));
                figures.reduce(|a, b| if a.is_nan() || a <= b { a } else { b }).unwrap_or(f64::NAN)
            },
            1.0,
            "true by construction",
        )],
        ..CLAIM
    },
];
