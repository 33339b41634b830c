//! A decoder that compresses itself while it writes: what keeps all is the whole cache, and none outgrows its budget.

use heads_and_tails::mech::compressing_decoder::{CompressingDecoder, Regime};
use heads_and_tails::mech::house_transformer::{Decoder, HouseTransformerConfig, PromptReading};
use heads_and_tails::mech::kv_cache::{Combine, Compression, Ems, Fate, Fates, Rest, Score, Split};
use heads_and_tails::mech::recall_training::likeliest;

use crate::house_transformer::{close, decoder, odd};

const WINDOW: usize = 4;
const PROMPT: usize = 30;
const WRITTEN: usize = 40;

const GLOBAL_LOCAL: Score = Score::GlobalLocal { window: WINDOW, combine: Combine::Max };

const fn dropping(score: Score) -> Compression {
    Compression { score, split: Split::Uniform, rest: Rest::Drop }
}

const fn ems(ems: Ems) -> Compression {
    Compression { rest: Rest::Ems(ems), ..dropping(GLOBAL_LOCAL) }
}

/// Methods as they are used while a model writes: of the prompt, from then on, and whether keys are renumbered.
const METHODS: [(Compression, Compression, bool); 11] = [
    (ems(Ems::VALUES_ONLY), ems(Ems::VALUES_ONLY), false),
    (ems(Ems::MERGE_EVERYTHING), ems(Ems::MERGE_EVERYTHING), false),
    (dropping(GLOBAL_LOCAL), dropping(GLOBAL_LOCAL), false),
    (dropping(Score::H2o), dropping(Score::H2o), false),
    (dropping(Score::H2o), Compression { rest: Rest::Cam { window: 32, seed: 1 }, ..dropping(Score::H2o) }, false),
    (dropping(Score::StreamingLlm { sinks: 4 }), dropping(Score::StreamingLlm { sinks: 4 }), true),
    (dropping(Score::Tova), dropping(Score::Tova), false),
    (dropping(Score::SnapKv { window: WINDOW, kernel: 5 }), dropping(Score::Window), false),
    (dropping(Score::KeyDiff), dropping(Score::KeyDiff), false),
    (dropping(Score::Random { seed: 2 }), dropping(Score::Random { seed: 2 }), false),
    (dropping(Score::Window), dropping(Score::Window), false),
];

fn prompt(config: &HouseTransformerConfig) -> (Decoder, PromptReading) {
    let text: Vec<usize> = (0..PROMPT).map(|i| (i * i + 3 * i) % config.vocabulary).collect();
    let mut decoder = decoder(config);
    let reading = decoder.prefill(&text);
    (decoder, reading)
}

fn last_logits(reading: &PromptReading, config: &HouseTransformerConfig) -> Vec<f32> {
    reading.logits[(PROMPT - 1) * config.vocabulary..].to_vec()
}

#[test]
fn who_keeps_all_writes_what_the_whole_cache_writes() {
    let config = odd();
    let (whole, reading) = prompt(&config);
    for (prompt, onward, renumbers) in METHODS {
        for slack in [1, 8] {
            let regime = Regime { prompt, onward, budget: PROMPT + WRITTEN, slack, renumbers };
            let mut whole = whole.clone();
            let mut compressed = CompressingDecoder::after_prompt(whole.clone(), &reading, &regime, WINDOW);
            let mut logits = [last_logits(&reading, &config), last_logits(&reading, &config)];
            for step in 0..WRITTEN {
                let [one, other] = logits.each_ref().map(|logits| likeliest(logits));
                assert_eq!(one, other, "{regime:?}, token {step}");
                logits = [whole.read(one), compressed.read(other)];
                assert_eq!(logits[0], logits[1], "{regime:?}: to the bit, token {step}");
            }
        }
    }
}

/// What is true of a head at any time: its cache holds the tokens that are kept, and what is merged is in one of them.
fn sound(fates: &Fates, read: usize) {
    assert_eq!(fates.tokens(), read);
    assert!(fates.cached().is_sorted_by(|a, b| a < b));
    for token in 0..read {
        let cached = |token: &usize| fates.cached().binary_search(token).is_ok();
        match fates.of(token) {
            Fate::Merged(center) => assert!(cached(&center) && fates.of(center) == Fate::Kept && center != token),
            fate => assert_eq!(fate == Fate::Kept, cached(&token), "token {token}: {fate:?}"),
        }
    }
}

#[test]
fn no_cache_outgrows_its_budget_and_every_token_is_accounted_for() {
    let config = odd();
    let (whole, reading) = prompt(&config);
    for (prompt, onward, renumbers) in METHODS {
        for (budget, slack) in [(WINDOW + 1, 1), (10, 8), (13, 3), (PROMPT, 1), (PROMPT + 5, 8)] {
            let regime = Regime { prompt, onward, budget, slack, renumbers };
            let mut compressed = CompressingDecoder::after_prompt(whole.clone(), &reading, &regime, WINDOW);
            for written in 0..=WRITTEN {
                for online in compressed.layers() {
                    for (fates, head) in online.fates().iter().zip(&online.layer().heads) {
                        let rows = fates.cached().len();
                        assert!(rows < budget + slack && rows >= budget.min(PROMPT + written), "{rows}: {regime:?}");
                        assert_eq!(rows, head.tokens());
                        sound(fates, PROMPT + written);
                        match renumbers && rows < PROMPT + written {
                            true => assert_eq!(head.positions, (0..rows).collect::<Vec<_>>()),
                            false => assert_eq!(head.positions, fates.cached()),
                        }
                    }
                }
                let logits = compressed.read(written * written % config.vocabulary);
                assert!(logits.iter().all(|logit| logit.is_finite()), "{regime:?}");
            }
        }
    }
}

/// As published: the first tokens and the last ones, at their places in the cache.
#[test]
fn streaming_reads_on_from_places_in_its_cache() {
    let config = odd();
    let (whole, reading) = prompt(&config);
    let streaming = dropping(Score::StreamingLlm { sinks: 4 });
    let regime = Regime { prompt: streaming, onward: streaming, budget: 9, slack: 1, renumbers: true };
    let mut compressed = CompressingDecoder::after_prompt(whole, &reading, &regime, WINDOW);
    for written in 0..20 {
        assert_eq!(compressed.position(), 9);
        let last = PROMPT + written - 5..PROMPT + written;
        for fates in compressed.layers().iter().flat_map(|online| online.fates()) {
            assert_eq!(fates.cached(), [0, 1, 2, 3].into_iter().chain(last.clone()).collect::<Vec<_>>());
        }
        compressed.read(written % config.vocabulary);
    }
}

/// A prompt that is compressed at once, and then nothing, is what a compression of each layer leaves.
#[test]
fn a_prompt_is_compressed_as_by_itself() {
    let config = odd();
    let (mut whole, reading) = prompt(&config);
    let method = ems(Ems::MERGE_EVERYTHING);
    let regime = Regime { prompt: method, onward: method, budget: 12, slack: 50, renumbers: false };
    let mut compressed = CompressingDecoder::after_prompt(whole.clone(), &reading, &regime, WINDOW);
    let caches = |layer| method.apply(&reading.layer(layer, WINDOW), 12).layer.caches(PROMPT);
    whole.resume(&reading, PROMPT, (0..config.layers).map(caches).collect());
    for token in [3, 1, 4] {
        close("logits", &compressed.read(token), &whole.read(token));
    }
}
