//! What the cards claim, judged on the shipped models: a seed chooses the model and draws the contexts.

use crate::lab::{Bound, Experiment, Measure, Outcome};

pub(super) const SEEDS: &[u64] = &[0, 1, 2];

pub(super) const fn at_least(
    name: &'static str,
    figure: fn(&Outcome) -> f64,
    least: f64,
    card_measured: &'static str,
) -> Measure {
    Measure { name, figure, needed: Bound::AtLeast(least), card: Bound::AtLeast(least), card_measured }
}

pub(super) const fn at_most(
    name: &'static str,
    figure: fn(&Outcome) -> f64,
    most: f64,
    card_measured: &'static str,
) -> Measure {
    Measure { name, figure, needed: Bound::AtMost(most), card: Bound::AtMost(most), card_measured }
}

/// The best recall of those that go by attention.
fn best_by_attention(runs: &Outcome, label: &str) -> f64 {
    ["global_local", "snap", "tova", "observed", "h2o"]
        .iter()
        .map(|key| runs.get(label, &format!("recall_{key}")))
        .fold(0.0, |best, recall| if recall >= best { recall } else { best.max(recall) })
}

pub const EVICT: &[Experiment] = &[
    Experiment {
        id: "bias",
        claim: "Attention of all queries keeps early tokens, that of the last ones late tokens, and both together lie between",
        paper: "ems",
        point: 4,
        how: "32 contexts, a quarter kept. The share of what is kept before the window that lies in the first third.",
        quick: true,
        runs: &[("a quarter", "contexts=32")],
        seeds: SEEDS,
        measures: &[
            at_least(
                "all queries − both",
                |runs| runs.get("a quarter", "early_global") - runs.get("a quarter", "early_combined"),
                0.0,
                ".75 − .58, .76 − .63, .67 − .49",
            ),
            at_least(
                "both − last queries",
                |runs| runs.get("a quarter", "early_combined") - runs.get("a quarter", "early_local"),
                0.0,
                ".58 − .40, .63 − .40, .49 − .35",
            ),
        ],
    },
    Experiment {
        id: "merging-helps",
        claim: "Merging the rest into what is kept brings heads’ outputs nearer to those with the whole cache than dropping it",
        paper: "ems",
        point: 5,
        how: "32 contexts, a quarter kept, p = 0.95, τ = 0. Ours: the exact operators of EMS are reconstructed.",
        quick: true,
        runs: &[("a quarter", "contexts=32")],
        seeds: SEEDS,
        measures: &[at_most(
            "output error, EMS / dropping",
            |runs| runs.get("a quarter", "error_ems") / runs.get("a quarter", "error_global_local"),
            0.93,
            ".399/.451, .423/.479, .408/.457",
        )],
    },
    Experiment {
        id: "where-it-helps",
        claim: "It helps where heads look at much, in the lower layer, and hardly where they look at little",
        paper: "ems",
        point: 6,
        how: "32 contexts, a quarter kept.",
        quick: true,
        runs: &[("a quarter", "contexts=32")],
        seeds: SEEDS,
        measures: &[
            at_least(
                "gain in the lower layer / in the upper",
                |runs| runs.get("a quarter", "gain_0") / runs.get("a quarter", "gain_1"),
                2.0,
                "15 % / 4 % (mean)",
            ),
            at_least(
                "merged tokens, most / least of a head",
                |runs| runs.get("a quarter", "merged_most") / runs.get("a quarter", "merged_least"),
                5.0,
                "74 / .6 (seed 0)",
            ),
        ],
    },
    Experiment {
        id: "question-seen",
        claim: "With the question seen, EMS answers from a quarter of the tokens, and from a tenth far better than SnapKV",
        paper: "ems",
        point: 7,
        how: "32 contexts of 8 questions, each at the end of what is compressed. The card asks for means over the seeds at a tenth; here each seed must hold.",
        quick: false,
        runs: &[("a quarter", "contexts=32&seen=true"), ("a tenth", "contexts=32&seen=true&keep=0.1")],
        seeds: SEEDS,
        measures: &[
            at_least("a quarter: EMS", |runs| runs.get("a quarter", "recall_ems"), 0.95, ".995, .984, .984"),
            at_least(
                "a tenth: EMS − dropping",
                |runs| runs.get("a tenth", "recall_ems") - runs.get("a tenth", "recall_global_local"),
                -0.02,
                ".883 − .842 (means)",
            ),
            at_least(
                "a tenth: EMS − SnapKV",
                |runs| runs.get("a tenth", "recall_ems") - runs.get("a tenth", "recall_snap"),
                0.3,
                ".883 − .208 (means)",
            ),
        ],
    },
    Experiment {
        id: "question-unseen",
        claim: "With the question unseen, KeyDiff remembers from a quarter of the tokens, and no score by attention does",
        paper: "ems",
        point: 8,
        how: "32 contexts of 8 questions, all from one cache.",
        quick: true,
        runs: &[("a quarter", "contexts=32")],
        seeds: SEEDS,
        measures: &[
            at_least("KeyDiff", |runs| runs.get("a quarter", "recall_key_diff"), 0.85, ".99, .91, .90"),
            at_most("best by attention", |runs| best_by_attention(runs, "a quarter"), 0.5, ".25, .42, .38 (SnapKV)"),
        ],
    },
    Experiment {
        id: "sink",
        claim: "Without the first token the model loses its footing; with it, half of the cache serves",
        paper: "ems",
        point: 9,
        how: "32 contexts, half kept: the last tokens alone, and with the first four.",
        quick: true,
        runs: &[("half", "contexts=32&keep=0.5")],
        seeds: SEEDS,
        measures: &[
            at_least(
                "perplexity, window only − whole",
                |runs| runs.get("half", "perplexity_window") - runs.get("half", "perplexity_full"),
                0.15,
                ".20, .48, .24",
            ),
            at_most(
                "perplexity, StreamingLLM − whole, up or down",
                |runs| (runs.get("half", "perplexity_streaming") - runs.get("half", "perplexity_full")).abs(),
                0.1,
                "within .1",
            ),
        ],
    },
];
