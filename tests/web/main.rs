//! What the terminal's tests hold, in WebAssembly and in a browser: other instructions, another allocator, no threads.
//!
//! Natively there is nothing here; `cargo xtask test web` builds and runs it in headless Chromium.

#![cfg(target_arch = "wasm32")]
#![expect(clippy::unwrap_used, reason = "a test that finds nothing to unwrap has failed")]

#[path = "../it/golden.rs"]
mod golden;

use heads_and_tails::lab::Values;
use heads_and_tails::labs::CATALOGUE;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

// Where the engines run.
wasm_bindgen_test_configure!(run_in_dedicated_worker);

/// The vectors of `tests/golden`, carried along; `tests/it/tidy.rs` holds the list complete.
const VECTORS: &[(&str, &str)] = &[
    ("ems-step", include_str!("../golden/ems-step.json")),
    ("fourier-head-bins", include_str!("../golden/fourier-head-bins.json")),
    ("fourier-head-data", include_str!("../golden/fourier-head-data.json")),
    ("fourier-head-gmm", include_str!("../golden/fourier-head-gmm.json")),
    ("fourier-head-layer", include_str!("../golden/fourier-head-layer.json")),
    ("fourier-head-metrics", include_str!("../golden/fourier-head-metrics.json")),
    ("fourier-head-pdf-cdf", include_str!("../golden/fourier-head-pdf-cdf.json")),
    ("fourier-head-smoothness", include_str!("../golden/fourier-head-smoothness.json")),
    ("induction-net", include_str!("../golden/induction-net.json")),
    ("induction-reduced", include_str!("../golden/induction-reduced.json")),
    ("kv-baselines-quant", include_str!("../golden/kv-baselines-quant.json")),
    ("kv-baselines-scores", include_str!("../golden/kv-baselines-scores.json")),
    ("link-critic", include_str!("../golden/link-critic.json")),
    ("link-kb", include_str!("../golden/link-kb.json")),
    ("link-proposal-parse", include_str!("../golden/link-proposal-parse.json")),
    ("link-rule-language", include_str!("../golden/link-rule-language.json")),
    ("link-rule-menu", include_str!("../golden/link-rule-menu.json")),
    ("link-rules", include_str!("../golden/link-rules.json")),
    ("link-search", include_str!("../golden/link-search.json")),
    ("longheads-attention", include_str!("../golden/longheads-attention.json")),
    ("rotatekv-fwht-fuse", include_str!("../golden/rotatekv-fwht-fuse.json")),
    ("rotatekv-pipeline", include_str!("../golden/rotatekv-pipeline.json")),
    ("rotatekv-sink", include_str!("../golden/rotatekv-sink.json")),
];

#[wasm_bindgen_test]
fn mechanisms_agree_with_the_papers_code() {
    for (stem, text) in VECTORS {
        assert_eq!(golden::compare(stem, text), Some(vec![]), "{stem}");
    }
}

#[wasm_bindgen_test]
fn every_setting_survives_its_link() {
    for entry in CATALOGUE {
        for preset in entry.card.presets {
            let (values, problems) = Values::from_query(entry.specs, preset.query);
            assert!(problems.is_empty(), "{}: {problems:?}", entry.card.slug);
            let (again, problems) = Values::from_query(entry.specs, &values.to_query());
            assert!(again == values && problems.is_empty(), "{}: {}", entry.card.slug, preset.query);
        }
    }
}
