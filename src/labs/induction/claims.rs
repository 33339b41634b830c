//! What the card asks of the run, experiment by experiment.

use crate::lab::{Bound, Experiment, Measure, Outcome};

const fn least(name: &'static str, figure: fn(&Outcome) -> f64, needed: f64, card_measured: &'static str) -> Measure {
    Measure { name, figure, needed: Bound::AtLeast(needed), card: Bound::AtLeast(needed), card_measured }
}

const fn most(name: &'static str, figure: fn(&Outcome) -> f64, needed: f64, card_measured: &'static str) -> Measure {
    Measure { name, figure, needed: Bound::AtMost(needed), card: Bound::AtMost(needed), card_measured }
}

/// Steps between two events, whichever was first.
fn between(runs: &Outcome, one: &str, other: &str) -> f64 {
    (runs.get("quick", one) - runs.get("quick", other)).abs()
}

pub const EXPERIMENTS: &[Experiment] = &[
    Experiment {
        id: "small",
        claim: "A small network with four pairs learns to copy within a few hundred steps",
        paper: "induction",
        point: 2,
        how: "N = 4, L = 16, D = 15, bursts of two, 128 sequences a step, 800 steps.",
        quick: true,
        runs: &[("small", "item_width=15&slots=17&pairs=4&labels=16&burst=2&batch=128&steps=800")],
        seeds: &[1, 2],
        measures: &[
            most("step of 90 % by context", |runs| runs.get("small", "step_90"), 800.0, "500; the card sets no bound"),
            least(
                "right by context at the end",
                |runs| runs.get("small", "ic"),
                0.9,
                "above .9; the card sets no bound",
            ),
        ],
    },
    Experiment {
        id: "cliff",
        claim: "The cliff comes: the network learns to read the context and does not learn the classes by heart",
        paper: "induction",
        point: 2,
        how: "The quick setting: 4,096 classes, 32 labels, 8 pairs, Adam, 2,000 steps; 400 sequences a test.",
        quick: false,
        runs: &[("quick", "tested=400")],
        seeds: &[0, 1, 2, 3, 4],
        measures: &[
            most(
                "step of 90 % by context",
                |runs| runs.get("quick", "step_90"),
                2000.0,
                "1,400, 1,350, 1,400, 1,250, 1,500",
            ),
            least("right by context, new classes", |runs| runs.get("quick", "ic"), 0.93, ".95 to .97"),
            least("right by context, labels swapped", |runs| runs.get("quick", "ic2"), 0.93, ".96 to .98"),
            most("right by memory", |runs| runs.get("quick", "iwl"), 0.08, ".03 to .05"),
        ],
    },
    Experiment {
        id: "abrupt",
        claim: "It comes abruptly, out of a plateau on which the loss hardly falls",
        paper: "induction",
        point: 3,
        how: "The same runs. The cliff is from 35 % to 90 % by context; the plateau is the first 60 % of the steps before its end.",
        quick: false,
        runs: &[("quick", "tested=400")],
        seeds: &[0, 1, 2, 3, 4],
        measures: &[
            most(
                "cliff / all steps to its end",
                |runs| runs.get("quick", "abruptness"),
                0.3,
                ".14, .19, .18, .16, .13",
            ),
            least(
                "least loss on the plateau, nats",
                |runs| runs.get("quick", "plateau"),
                3.0,
                "3.2 at step 900; ln L is 3.47",
            ),
            most("loss at the end, nats", |runs| runs.get("quick", "loss"), 0.5, ".15 to .41"),
        ],
    },
    Experiment {
        id: "heads",
        claim: "The two heads are what drives it: both form as the accuracy jumps, and looking at labels at all comes first",
        paper: "induction",
        point: 4,
        how: "The same runs, by who looks at whom over the test of new classes.",
        quick: false,
        runs: &[("quick", "tested=400")],
        seeds: &[0, 1, 2, 3, 4],
        measures: &[
            least("first head: label → its item", |runs| runs.get("quick", "item_label_1"), 0.7, ".78 to .80"),
            least("second head: target → right label", |runs| runs.get("quick", "target_label_2"), 0.8, ".86 to .90"),
            most(
                "first head half formed, steps from 50 %",
                |runs| between(runs, "step_back", "step_50"),
                250.0,
                "within 250",
            ),
            most(
                "second head half formed, steps from 50 %",
                |runs| between(runs, "step_copy", "step_50"),
                250.0,
                "within 250",
            ),
            least(
                "looks at labels, just before",
                |runs| runs.get("quick", "early_labels"),
                0.6,
                ".78 at step 900; the card sets no bound",
            ),
            most(
                "right by context, just before",
                |runs| runs.get("quick", "early_ic"),
                0.15,
                ".07 at step 900; the card sets no bound",
            ),
        ],
    },
    Experiment {
        id: "bursts",
        claim: "Bursts bring it on earlier and make it less abrupt",
        paper: "induction",
        point: 5,
        how: "Bursts of 1, 2 and 4.",
        quick: false,
        runs: &[("1", "tested=400"), ("2", "burst=2&tested=400"), ("4", "burst=4&tested=400")],
        seeds: &[0, 1, 2],
        measures: &[
            least(
                "step of 35 %: B = 1 − B = 2",
                |runs| runs.get("1", "step_35") - runs.get("2", "step_35"),
                0.0,
                "1,160 − 750 (means of 5 seeds)",
            ),
            least(
                "step of 35 %: B = 2 − B = 4",
                |runs| runs.get("2", "step_35") - runs.get("4", "step_35"),
                0.0,
                "750 − 235 (means of 5 and 3 seeds)",
            ),
            least(
                "cliff / all steps, B = 2 − B = 1",
                |runs| runs.get("2", "abruptness") - runs.get("1", "abruptness"),
                0.0,
                ".20 − .16",
            ),
            least("cliff / all steps, B = 4", |runs| runs.get("4", "abruptness"), 0.5, ".68"),
        ],
    },
    Experiment {
        id: "few-classes",
        claim: "Few classes are learned by heart, many are read from the context",
        paper: "induction",
        point: 6,
        how: "Bursts of two, 2,500 steps.",
        quick: false,
        runs: &[
            ("64", "classes=64&burst=2&steps=2500&tested=400"),
            ("256", "classes=256&burst=2&steps=2500&tested=400"),
            ("512", "classes=512&burst=2&steps=2500&tested=400"),
            ("1024", "classes=1024&burst=2&steps=2500&tested=400"),
        ],
        seeds: &[0, 1, 2],
        measures: &[
            most("K = 64, by context", |runs| runs.get("64", "ic"), 0.1, ".03 to .07"),
            least("K = 64, by memory", |runs| runs.get("64", "iwl"), 0.95, ".97 to 1.0"),
            most("K = 256, by context", |runs| runs.get("256", "ic"), 0.15, ".07 to .08"),
            least("K = 256, by memory", |runs| runs.get("256", "iwl"), 0.75, ".82 to .88"),
            least("K = 512, by context", |runs| runs.get("512", "ic"), 0.9, ".94 to .98"),
            least("K = 1,024, by context", |runs| runs.get("1024", "ic"), 0.9, ".975 to .98; the card sets no bound"),
            most("K = 1,024, by memory", |runs| runs.get("1024", "iwl"), 0.1, ".04 to .05; the card sets no bound"),
        ],
    },
    Experiment {
        id: "noise",
        claim: "Noise makes memory useless, and the context wins",
        paper: "induction",
        point: 7,
        how: "256 classes, bursts of two, ε = 0.75, 2,500 steps.",
        quick: false,
        runs: &[("noisy", "classes=256&burst=2&noise=0.75&steps=2500&tested=400")],
        seeds: &[0, 1],
        measures: &[least("right by context", |runs| runs.get("noisy", "ic"), 0.5, ".73, .66; .08 with ε .1")],
    },
    Experiment {
        id: "zipf",
        claim: "Where some classes are frequent and most are rare, both live",
        paper: "induction",
        point: 8,
        how: "α = 1, 1,024 classes, bursts of two, 2,500 steps.",
        quick: false,
        runs: &[("zipf", "classes=1024&burst=2&zipf=1&steps=2500&tested=400")],
        seeds: &[0, 1],
        measures: &[
            least("right by context", |runs| runs.get("zipf", "ic"), 0.9, ".95, .94"),
            least("right by memory", |runs| runs.get("zipf", "iwl"), 0.25, ".35, .33"),
        ],
    },
    Experiment {
        id: "no-bursts",
        claim: "Where the context says nothing about the target, nobody learns to read it",
        paper: "induction",
        point: 9,
        how: "p_B = 0, 1,500 steps.",
        quick: false,
        runs: &[("none", "bursty=0&steps=1500&tested=400")],
        seeds: &[0, 1],
        measures: &[most("right by context", |runs| runs.get("none", "ic"), 0.08, ".03, .02")],
    },
    Experiment {
        id: "all-labels",
        claim: "With as many labels as pairs the way down has no beginning",
        paper: "induction",
        point: 10,
        how: "L = N = 8, 3,000 steps.",
        quick: false,
        runs: &[("8", "labels=8&steps=3000&tested=400")],
        seeds: &[0, 1, 2],
        measures: &[most(
            "right by context; chance is .125",
            |runs| runs.get("8", "ic"),
            0.2,
            ".12 to .14; the card sets no bound",
        )],
    },
    Experiment {
        id: "frozen",
        claim: "Without a first head that can look back there is no cliff",
        paper: "induction",
        point: 11,
        how: "The first head looks at all tokens alike, 2,500 steps.",
        quick: false,
        runs: &[("frozen", "first_head=uniform&steps=2500&tested=400")],
        seeds: &[0, 1, 2],
        measures: &[most(
            "right by context",
            |runs| runs.get("frozen", "ic"),
            0.6,
            ".44 to .46; never .9; the card sets no bound",
        )],
    },
    Experiment {
        id: "planted",
        claim: "Planted at the labels, the first head brings the cliff in half the steps",
        paper: "induction",
        point: 12,
        how: "The first head is fixed: a label looks at its item, every other token at itself.",
        quick: false,
        runs: &[("quick", "tested=400"), ("labels", "first_head=labels&tested=400")],
        seeds: &[0, 1, 2],
        measures: &[most(
            "steps to 90 %, planted / learned",
            |runs| runs.get("labels", "step_90") / runs.get("quick", "step_90"),
            0.5,
            "500, 600, 550 of 1,250 to 1,500",
        )],
    },
    Experiment {
        id: "trap",
        claim: "Planted everywhere, the first head is a trap",
        paper: "induction",
        point: 12,
        how: "Every token looks at the one before it, 2,500 steps.",
        quick: false,
        runs: &[("everywhere", "first_head=everywhere&steps=2500&tested=400")],
        seeds: &[0, 1, 2],
        measures: &[
            most("right by context", |runs| runs.get("everywhere", "ic"), 0.15, ".08 to .12; the card sets no bound"),
            most(
                "second head: target → right label",
                |runs| runs.get("everywhere", "target_label_2"),
                0.1,
                ".01; the card sets no bound",
            ),
        ],
    },
];
