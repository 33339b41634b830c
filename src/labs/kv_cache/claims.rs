//! What the cards claim, judged on the shipped models: a seed chooses the model and draws the contexts.

use crate::lab::{Experiment, Measure, Outcome};

pub(super) const SEEDS: &[u64] = &[0, 1, 2];

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
            Measure::at_least(
                "all queries − both",
                |runs| runs.get("a quarter", "early_global") - runs.get("a quarter", "early_combined"),
                0.0,
                ".75 − .58, .76 − .63, .67 − .49",
            ),
            Measure::at_least(
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
        measures: &[Measure::at_most(
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
            Measure::at_least(
                "gain in the lower layer − twice that in the upper",
                |runs| runs.get("a quarter", "gain_0") - 2.0 * runs.get("a quarter", "gain_1"),
                0.0,
                ".15 − 2 × .04 (mean)",
            ),
            Measure::at_least(
                "tokens worth merging, most of a head − five times the least",
                |runs| runs.get("a quarter", "merged_most") - 5.0 * runs.get("a quarter", "merged_least"),
                0.0,
                "74 − 5 × .6 (seed 0)",
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
            Measure::at_least("a quarter: EMS", |runs| runs.get("a quarter", "recall_ems"), 0.95, ".995, .984, .984"),
            Measure::at_least(
                "a tenth: EMS − dropping",
                |runs| runs.get("a tenth", "recall_ems") - runs.get("a tenth", "recall_global_local"),
                -0.02,
                ".883 − .842 (means)",
            ),
            Measure::at_least(
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
            Measure::at_least("KeyDiff", |runs| runs.get("a quarter", "recall_key_diff"), 0.85, ".99, .91, .90"),
            Measure::at_most(
                "best by attention",
                |runs| best_by_attention(runs, "a quarter"),
                0.5,
                ".25, .42, .38 (SnapKV)",
            ),
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
            Measure::at_least(
                "perplexity, window only − whole",
                |runs| runs.get("half", "perplexity_window") - runs.get("half", "perplexity_full"),
                0.15,
                ".20, .48, .24",
            ),
            Measure::at_most(
                "perplexity, StreamingLLM − whole, up or down",
                |runs| (runs.get("half", "perplexity_streaming") - runs.get("half", "perplexity_full")).abs(),
                0.1,
                "within .1",
            ),
        ],
    },
    Experiment {
        id: "scores-seen",
        claim: "With the question seen, scores by attention find what is asked for in a quarter of the tokens, and no other does",
        paper: "kv-baselines",
        point: 3,
        how: "32 contexts of 8 questions, each at the end of what is compressed. The card asks for means over the seeds; here each seed must hold.",
        quick: false,
        runs: &[("a quarter", "contexts=32&seen=true")],
        seeds: SEEDS,
        measures: &[
            Measure::at_least("SnapKV", |runs| runs.get("a quarter", "recall_snap"), 0.9, ".98 (mean)"),
            Measure::at_least("TOVA", |runs| runs.get("a quarter", "recall_tova"), 0.9, ".98 (mean)"),
            Measure::at_least("observed attention", |runs| runs.get("a quarter", "recall_observed"), 0.9, ".98 (mean)"),
            Measure::at_least("Global-Local", |runs| runs.get("a quarter", "recall_global_local"), 0.9, ".98 (mean)"),
            Measure::at_least("H2O", |runs| runs.get("a quarter", "recall_h2o"), 0.9, ".95 (mean)"),
            Measure::at_most("StreamingLLM", |runs| runs.get("a quarter", "recall_streaming"), 0.35, ".20 (mean)"),
            Measure::at_most("random", |runs| runs.get("a quarter", "recall_random"), 0.45, ".31 (mean)"),
        ],
    },
    Experiment {
        id: "tenth-seen",
        claim: "From a tenth, of which the window is two thirds, TOVA still answers and SnapKV spends its few rows on neighbors",
        paper: "kv-baselines",
        point: 4,
        how: "12 rows a head, 8 of them the window; SnapKV with its pooling of 5 and without.",
        quick: false,
        runs: &[
            ("pooled", "contexts=32&seen=true&keep=0.1"),
            ("not pooled", "contexts=32&seen=true&keep=0.1&kernel=1"),
        ],
        seeds: SEEDS,
        measures: &[
            Measure::at_least("TOVA", |runs| runs.get("pooled", "recall_tova"), 0.9, ".98 (mean)"),
            Measure::at_least("observed attention", |runs| runs.get("pooled", "recall_observed"), 0.6, ".84 (mean)"),
            Measure::at_most("SnapKV, pooled", |runs| runs.get("pooled", "recall_snap"), 0.4, ".21 (mean)"),
            Measure::at_least(
                "SnapKV, not pooled − pooled",
                |runs| runs.get("not pooled", "recall_snap") - runs.get("pooled", "recall_snap"),
                0.0,
                ".84 − .30 (one run)",
            ),
        ],
    },
    Experiment {
        id: "scores-unseen",
        claim: "With the question unseen, only a score that asks no query remembers",
        paper: "kv-baselines",
        point: 5,
        how: "32 contexts of 8 questions, all from one cache. Two cards claim this, so its runs and bounds are those of “With the question unseen, KeyDiff remembers …” above.",
        quick: true,
        runs: &[("a quarter", "contexts=32")],
        seeds: SEEDS,
        measures: &[
            Measure::at_least("KeyDiff", |runs| runs.get("a quarter", "recall_key_diff"), 0.85, ".93 (mean)"),
            Measure::at_most("best by attention", |runs| best_by_attention(runs, "a quarter"), 0.5, "≤ .42"),
        ],
    },
    Experiment {
        id: "streaming-tracks",
        claim: "StreamingLLM remembers the share of the context that it keeps, and nothing of the rest",
        paper: "kv-baselines",
        point: 6,
        how: "32 contexts of 8 questions, all from one cache; the share kept and the share answered.",
        quick: true,
        runs: &[("half", "contexts=32&keep=0.5"), ("a quarter", "contexts=32"), ("a tenth", "contexts=32&keep=0.1")],
        seeds: SEEDS,
        measures: &[Measure::at_most(
            "greatest difference",
            |runs| {
                let shares = [("half", 0.5), ("a quarter", 0.25), ("a tenth", 0.1)];
                let off = shares.map(|(label, kept)| (runs.get(label, "recall_streaming") - kept).abs());
                off.into_iter().fold(0.0, f64::max)
            },
            0.07,
            ".51, .23, .08",
        )],
    },
];

/// Each way to hold a cache small while writing, with room for all.
const ROOM_FOR_ALL: &[(&str, &str)] = &[
    ("EMS", "keep=1&temperature=1&method=ems"),
    ("Global-Local", "keep=1&temperature=1&method=global-local"),
    ("H2O", "keep=1&temperature=1&method=h2o"),
    ("CaM", "keep=1&temperature=1&method=cam"),
    ("StreamingLLM", "keep=1&temperature=1&method=streaming"),
    ("TOVA", "keep=1&temperature=1&method=tova"),
    ("SnapKV", "keep=1&temperature=1&method=snapkv"),
    ("KeyDiff", "keep=1&temperature=1&method=keydiff"),
    ("the last ones", "keep=1&temperature=1&method=window"),
    ("chance", "keep=1&temperature=1&method=random"),
];

/// The greatest figure of this name among them; one that is missing is greater than any.
fn most_with_room(runs: &Outcome, key: &str) -> f64 {
    let figures = ROOM_FOR_ALL.iter().map(|(label, _)| runs.get(label, key));
    figures.fold(0.0, |most, figure| if figure <= most { most } else { figure })
}

pub const GENERATE: &[Experiment] = &[Experiment {
    id: "room-for-all",
    claim: "With room for every token, no method changes a word of what is written",
    paper: "ems",
    point: 1,
    how: "96 words drawn at temperature 1, with each method told to keep all. The card has it of one compression; here it is judged while the model writes.",
    quick: true,
    runs: ROOM_FOR_ALL,
    seeds: SEEDS,
    measures: &[
        Measure::at_most("words that differ, most of a method", |runs| most_with_room(runs, "other"), 0.0, "identical"),
        Measure::at_most(
            "mean divergence, most of a method",
            |runs| most_with_room(runs, "divergence"),
            1e-4,
            "within 1e-4",
        ),
    ],
}];
