//! Runs that share tensors, with a leading replica dimension, fare as they would alone.

use std::collections::BTreeMap;

use heads_and_tails::drive::find;
use heads_and_tails::lab::{Left, Readouts, Values};
use heads_and_tails::labs::RUNNERS;
use heads_and_tails::mech::ops::flex_calls;
use pollster::block_on;

use crate::site::host;

/// The readouts of each setting, and how often the kernels were called for all.
fn readouts(slug: &str, queries: &[&str], together: usize) -> (BTreeMap<usize, Readouts>, u64) {
    let runner = find(RUNNERS, slug).expect("a lab of the catalogue");
    let settings: Vec<Values> = queries.iter().map(|query| Values::from_query(runner.specs, query).0).collect();
    let (mut found, before) = (BTreeMap::new(), flex_calls());
    let mut done =
        |index, left: Left| assert!(found.insert(index, left.readouts).is_none(), "{slug}: run {index} twice");
    let mut host = host();
    host.together = together;
    block_on((runner.batch)(&settings, &host, &mut done)).expect("a short run does not fail");
    (found, flex_calls() - before)
}

#[test]
fn runs_that_share_tensors_fare_as_alone() {
    for (slug, queries, saved) in [
        (
            "fourier-head-draw",
            ["steps=50", "steps=50&seed=7", "steps=50&frequencies=3", "steps=50&target=spike&draws=100&seed=3"],
            0.6,
        ),
        (
            "induction",
            [
                "steps=50&tested=32&width=16&classes=64&burst=2",
                "steps=50&tested=32&width=16&seed=9",
                "steps=50&tested=32&width=16&learning_rate=0.01",
                "steps=50&tested=32&width=16&zipf=1&noise=0.4",
            ],
            0.7,
        ),
    ] {
        let ((alone, calls), (together, fewer)) = (readouts(slug, &queries, 1), readouts(slug, &queries, 8));
        assert_eq!((alone.len(), together.len()), (4, 4), "{slug}: every run is told");
        assert!((fewer as f64) < saved * calls as f64, "{slug}: {fewer} calls together, {calls} alone");
        for (run, alone) in &alone {
            let together = &together[run];
            assert_eq!(alone.keys().collect::<Vec<_>>(), together.keys().collect::<Vec<_>>(), "{slug}: run {run}");
            for (key, alone) in alone {
                let together = together[key];
                assert!(
                    (together - alone).abs() <= 1e-3 * alone.abs().max(1e-3),
                    "{slug}, run {run}, {key}: {together} together, {alone} alone"
                );
            }
        }
        // So many at most share tensors.
        let (_, two) = readouts(slug, &queries, 2);
        assert!(fewer < two && two < calls, "{slug}: {fewer}, {two}, {calls}");
    }
}
