//! What holds of every way to compress a cache, at any size: counts, identities, ties, zeros, and that a decoder reads on.

use std::collections::VecDeque;

use heads_and_tails::mech::house_transformer::{Decoder, HouseTransformerConfig, PromptReading};
use heads_and_tails::mech::kv_cache::{
    Budget, Cache, Combine, Compressed, Compression, Ems, Fate, Head, Layer, LayerShape, Online, Rest, Score, Split,
    Trace, global_local, pyramid_budgets,
};
use heads_and_tails::mech::ops::Rotation;
use heads_and_tails::seed::Stream;

use crate::house_transformer::{close, decoder, odd};

const GLOBAL_LOCAL: Score = Score::GlobalLocal { window: 4, combine: Combine::Max };

const SCORES: [Score; 12] = [
    Score::Random { seed: 3 },
    Score::Window,
    Score::StreamingLlm { sinks: 4 },
    Score::H2o,
    Score::ObservedAttention,
    Score::SnapKv { window: 4, kernel: 5 },
    Score::SnapKv { window: 8, kernel: 1 },
    Score::Tova,
    Score::Knorm,
    Score::KeyDiff,
    GLOBAL_LOCAL,
    Score::GlobalLocal { window: 5, combine: Combine::Sum },
];

const RESTS: [Rest; 9] = [
    Rest::Drop,
    Rest::Ems(Ems { mass: 0.95, threshold: 0.0, merge_keys: true, log_mass: false }),
    Rest::Ems(Ems::MERGE_EVERYTHING),
    Rest::Ems(Ems { log_mass: true, ..Ems::VALUES_ONLY }),
    Rest::MergingPress { threshold: 0.0 },
    Rest::MergingPress { threshold: -1.0 },
    Rest::Cam { window: 3, seed: 1 },
    Rest::D2o { alpha: 0.5, beta: 0.5 },
    Rest::Pivot,
];

const fn shape(query_heads: usize, key_heads: usize, tokens: usize, d_head: usize) -> LayerShape {
    LayerShape { query_heads, key_heads, tokens, d_head }
}

const SHAPES: [LayerShape; 7] = [
    shape(2, 2, 1, 4),
    shape(4, 2, 2, 2),
    shape(1, 1, 3, 6),
    shape(9, 3, 7, 4),
    shape(4, 1, 24, 8),
    shape(6, 3, 41, 2),
    shape(4, 4, 120, 16),
];

/// Random attention that looks at nothing ahead, keys and values.
fn parts(shape: LayerShape, seed: u64) -> (Vec<f32>, [Vec<f32>; 2]) {
    let LayerShape { query_heads, key_heads, tokens, d_head } = shape;
    let mut stream = Stream::new(seed, "data");
    let mut attention = vec![];
    for row in 0..query_heads * tokens {
        let seen = row % tokens + 1;
        let weights: Vec<f64> = (0..seen).map(|_| stream.gamma(0.5) + 1e-6).collect();
        let total: f64 = weights.iter().sum();
        attention.extend(weights.iter().map(|weight| (weight / total) as f32));
        attention.extend(vec![0.0; tokens - seen]);
    }
    let mut normal = || (0..key_heads * tokens * d_head).map(|_| stream.normal(0.3, 1.0) as f32).collect();
    (attention, [normal(), normal()])
}

fn layer(shape: LayerShape, seed: u64) -> Layer {
    let (attention, [keys, values]) = parts(shape, seed);
    Layer::after_prompt(1, shape, &attention, [&keys, &values], 8)
}

fn compression(score: Score, rest: Rest) -> Compression {
    Compression { score, split: Split::Uniform, rest }
}

/// What is true of any compression: nothing is lost track of, and every number is one.
fn sound(before: &Layer, after: &Compressed) {
    assert_eq!(before.heads.len(), after.layer.heads.len());
    for ((old, new), trace) in before.heads.iter().zip(&after.layer.heads).zip(&after.traces) {
        let Trace { kept, fates, similarity, scores } = trace;
        assert!(kept.is_sorted_by(|a, b| a < b), "{kept:?}");
        let by_fate: Vec<usize> = (0..old.tokens()).filter(|&token| fates[token] == Fate::Kept).collect();
        assert_eq!(&by_fate, kept);
        let target = |fate: &Fate| matches!(fate, Fate::Merged(target) if !kept.contains(target));
        assert!(!fates.iter().any(target), "what is merged is merged into something kept");
        assert_eq!([fates.len(), similarity.len(), scores.scores.len()], [old.tokens(); 3]);
        assert!(scores.scores.iter().all(|score| score.is_finite()), "{scores:?}");
        assert_eq!(new.positions, kept.iter().map(|&token| old.positions[token]).collect::<Vec<_>>());
        let Cache { keys, values, log_mass } = &new.cache;
        assert_eq!([keys.len(), values.len()], [kept.len() * before.d_head; 2]);
        assert!(log_mass.is_empty() || log_mass.len() == kept.len());
        assert_eq!(new.sums.len(), kept.len());
        assert!(new.recent.iter().all(|row| row.len() == kept.len()));
        let numbers = keys.iter().chain(values).chain(log_mass);
        assert!(numbers.copied().all(f32::is_finite) && new.sums.iter().all(|sum| sum.is_finite()));
    }
}

#[test]
fn every_method_keeps_exactly_what_it_is_told_to() {
    for shape in SHAPES {
        let layer = layer(shape, 1);
        for score in SCORES {
            for rest in RESTS {
                for budget in [0, 1, 2, 5, shape.tokens / 4, shape.tokens / 2, shape.tokens - 1] {
                    let after = compression(score, rest).apply(&layer, budget);
                    sound(&layer, &after);
                    let want = budget.max(score.least(shape.tokens)).min(shape.tokens);
                    let kept: Vec<usize> = after.traces.iter().map(|trace| trace.kept.len()).collect();
                    assert_eq!(kept, vec![want; shape.key_heads], "{score:?}, {rest:?}: {budget} of {shape:?}");
                }
            }
        }
    }
}

#[test]
fn windows_are_kept_and_shortened_to_leave_a_choice() {
    for shape in SHAPES {
        let layer = layer(shape, 2);
        for score in SCORES {
            for trace in compression(score, Rest::Drop).apply(&layer, 1).traces {
                let window = trace.scores.window;
                assert!(window < shape.tokens, "{score:?} of {shape:?}");
                let last = &trace.fates[shape.tokens - window..];
                assert!(last.iter().all(|fate| *fate == Fate::Kept), "{score:?}: {:?}", trace.fates);
                // The fewest that are kept are the window and one more; a score without a window keeps one.
                assert_eq!(trace.kept.len(), score.least(shape.tokens));
            }
        }
    }
    assert_eq!(GLOBAL_LOCAL.least(120), 5);
    assert_eq!([Score::H2o.window(120, 31), Score::H2o.window(120, 30)], [15, 15]);
    let streaming = compression(Score::StreamingLlm { sinks: 4 }, Rest::Drop);
    let kept = &streaming.apply(&layer(SHAPES[4], 1), 7).traces[0].kept;
    assert_eq!(kept, &[0, 1, 2, 3, 21, 22, 23]);
}

#[test]
fn heads_that_compete_keep_as_many_together() {
    for shape in SHAPES {
        let layer = layer(shape, 3);
        for score in SCORES {
            for safeguard in [0.0, 0.2, 1.0] {
                for budget in [5, shape.tokens / 3] {
                    let split = Split::Ada { safeguard };
                    let after = Compression { score, split, rest: Rest::Ems(Ems::default()) }.apply(&layer, budget);
                    sound(&layer, &after);
                    let each = budget.max(score.least(shape.tokens)).min(shape.tokens);
                    assert_eq!(after.layer.tokens(), each * shape.key_heads, "{score:?}, {budget} of {shape:?}");
                    let safe = (each as f64 * safeguard) as usize;
                    assert!(after.traces.iter().all(|trace| trace.kept.len() >= safe));
                }
            }
        }
    }
}

#[test]
fn a_budget_for_all_tokens_changes_nothing() {
    for shape in SHAPES {
        let layer = layer(shape, 4);
        for score in SCORES {
            for rest in RESTS {
                for split in [Split::Uniform, Split::Ada { safeguard: 0.2 }] {
                    for budget in [shape.tokens, shape.tokens + 3] {
                        let after = Compression { score, split, rest }.apply(&layer, budget);
                        assert_eq!(after.layer, layer, "{score:?}, {rest:?} of {shape:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn without_mass_ems_is_eviction_to_the_bit() {
    for shape in SHAPES {
        let layer = layer(shape, 5);
        for score in SCORES {
            let [merged, dropped] =
                [Rest::Ems(Ems::SCORE_ONLY), Rest::Drop].map(|rest| compression(score, rest).apply(&layer, 6));
            assert_eq!(merged, dropped, "{score:?}");
        }
    }
}

#[test]
fn of_equal_tokens_the_first_are_kept() {
    let shape = shape(4, 2, 12, 4);
    let alike = vec![1.0; 2 * 12 * 4];
    let layer = Layer::after_prompt(0, shape, &vec![0.5; 4 * 12 * 12], [&alike, &alike], 8);
    for (score, want) in [
        (Score::Knorm, vec![0, 1, 2, 3, 4, 5]),
        (Score::KeyDiff, vec![0, 1, 2, 3, 4, 5]),
        (Score::SnapKv { window: 2, kernel: 1 }, vec![0, 1, 2, 3, 10, 11]),
        (GLOBAL_LOCAL, vec![0, 1, 8, 9, 10, 11]),
        (Score::H2o, vec![0, 1, 2, 9, 10, 11]),
        (Score::Tova, vec![0, 1, 2, 3, 4, 11]),
    ] {
        for split in [Split::Uniform, Split::Ada { safeguard: 0.5 }] {
            let after = Compression { score, split, rest: Rest::Ems(Ems::MERGE_EVERYTHING) }.apply(&layer, 6);
            let first = &after.traces[0];
            if split == Split::Uniform || first.kept.len() == 6 {
                assert_eq!(first.kept, want, "{score:?}");
            } else {
                // Among heads the lower comes first.
                assert!(first.kept.len() > 6, "{score:?}");
            }
            let into =
                first.fates.iter().filter_map(|fate| if let Fate::Merged(into) = fate { Some(*into) } else { None });
            assert!(into.into_iter().all(|into| into == 0), "the first of equal centers: {:?}", first.fates);
        }
    }
}

#[test]
fn zeros_make_no_numbers_that_are_none() {
    let shape = shape(4, 2, 19, 4);
    let (attention, [keys, values]) = parts(shape, 6);
    let none = vec![0.0; keys.len()];
    let mut some = keys.clone();
    some[8..40].fill(0.0);
    for attention in [attention, vec![0.0; 4 * 19 * 19]] {
        for [keys, values] in [[&none, &none], [&none, &values], [&keys, &none], [&some, &some]] {
            let layer = Layer::after_prompt(0, shape, &attention, [keys, values], 8);
            for score in SCORES {
                for rest in RESTS {
                    sound(&layer, &compression(score, rest).apply(&layer, 7));
                }
            }
        }
    }
}

/// A head of keys is scored by the mean of its queries' attention.
#[test]
fn queries_that_share_keys_are_averaged_first() {
    let grouped = shape(6, 2, 30, 4);
    let (attention, [keys, values]) = parts(grouped, 7);
    let map = 30 * 30;
    let mean = |cell: usize| {
        let (head, cell) = (cell / map, cell % map);
        (0..3).map(|query| attention[(3 * head + query) * map + cell] / 3.0).sum()
    };
    let attention_of_keys: Vec<f32> = (0..2 * map).map(mean).collect();
    let single = LayerShape { query_heads: 2, ..grouped };
    let grouped = Layer::after_prompt(1, grouped, &attention, [&keys, &values], 8);
    let single = Layer::after_prompt(1, single, &attention_of_keys, [&keys, &values], 8);
    for score in SCORES {
        for (a, b) in score.of(&grouped, 9).iter().zip(score.of(&single, 9)) {
            assert!(a.scores.iter().zip(&b.scores).all(|(a, b)| (a - b).abs() < 1e-6), "{score:?}");
        }
    }
}

#[test]
fn chance_is_its_own_in_every_head_layer_and_seed() {
    let of = |seed: u64, layer: &Layer| {
        let scores = Score::Random { seed }.of(layer, 5);
        scores.into_iter().map(|head| head.scores).collect::<Vec<_>>()
    };
    let first = layer(SHAPES[5], 1);
    let mut above = first.clone();
    above.index = 2;
    let drawn = [of(1, &first), of(2, &first), of(1, &above)].concat();
    assert!((0..drawn.len()).all(|a| (0..a).all(|b| drawn[a] != drawn[b])));
    // A token keeps its number, so what is kept is a fair sample of all, however often it is compressed.
    let method = compression(Score::Random { seed: 1 }, Rest::Drop);
    let [at_once, in_two] = [method.apply(&first, 10), method.apply(&method.apply(&first, 20).layer, 10)];
    assert_eq!(at_once.layer, in_two.layer);
}

#[test]
fn budgets_are_counted_as_kvpress_counts() {
    assert_eq!(Budget::Removed(0.9).of(120), 11);
    assert_eq!(Budget::Removed(0.7).of(32), 9);
    assert_eq!([Budget::Tokens(12).of(120), Budget::Tokens(12).of(5)], [12, 5]);
    assert_eq!([Budget::Removed(0.0).of(41), Budget::Removed(1.0).of(41)], [41, 0]);
    assert_eq!(pyramid_budgets(30.0, 120, 2, 8, 20.0), [30, 30], "a slope that leaves less than a window is none");
    assert_eq!(pyramid_budgets(30.0, 120, 2, 1, 20.0), [58, 2]);
    assert_eq!(pyramid_budgets(30.0, 120, 1, 1, 20.0), [30]);
    assert_eq!(pyramid_budgets(30.0, 120, 3, 1, 1.0), [30; 3]);
    assert!(pyramid_budgets(30.0, 120, 0, 8, 20.0).is_empty());
}

/// A layer of one head of two numbers, whose tokens have these keys and values, and this attention in all.
fn by_hand(tokens: &[([f32; 2], [f32; 2], f64)]) -> Layer {
    let mut layer = Layer::new(0, 2, 1, 8);
    layer.heads[0] = Head {
        cache: Cache {
            keys: tokens.iter().flat_map(|(key, ..)| *key).collect(),
            values: tokens.iter().flat_map(|(_, value, _)| *value).collect(),
            log_mass: vec![],
        },
        positions: (0..tokens.len()).collect(),
        sums: tokens.iter().map(|(.., sum)| *sum).collect(),
        recent: VecDeque::new(),
    };
    layer
}

/// Two tokens are kept, the second and the fourth, and the two others are most like the fourth.
fn four_tokens() -> Layer {
    by_hand(&[
        ([0.0, 2.0], [1.0, 0.0], 1.0),
        ([1.0, 0.0], [5.0, 5.0], 9.0),
        ([3.0, 4.0], [0.0, 2.0], 2.0),
        ([0.0, 1.0], [4.0, 4.0], 8.0),
    ])
}

const ATTENTION: Score = Score::ObservedAttention;

#[test]
fn kept_tokens_take_in_others_as_each_method_says() {
    let layer = four_tokens();
    let after = |rest: Rest| {
        let after = compression(ATTENTION, rest).apply(&layer, 2);
        assert_eq!(after.traces[0].kept, [1, 3]);
        after
    };
    let [kept, merged] = [Fate::Kept, Fate::Merged(3)];

    // Halfway to the target, then a mean over both and the target itself.
    let pivot = after(Rest::Pivot);
    assert_eq!(pivot.traces[0].fates, [merged, kept, merged, kept]);
    close("keys", &pivot.layer.heads[0].cache.keys, &[1.0, 0.0, 0.5, (1.0 + 1.5 + 2.5) / 3.0]);
    close("values", &pivot.layer.heads[0].cache.values, &[5.0, 5.0, (4.0 + 2.5 + 2.0) / 3.0, (4.0 + 2.0 + 3.0) / 3.0]);

    // Cosines 1 and .8: their mean is the threshold, so that the third token is dropped.
    let rest = Rest::D2o { alpha: 0.3, beta: 0.7 };
    let d2o = after(rest);
    assert_eq!(d2o.traces[0].fates, [merged, kept, Fate::ZeroClass, kept]);
    close("keys", &d2o.layer.heads[0].cache.keys, &[1.0, 0.0, 0.0, 1.5]);
    close("values", &d2o.layer.heads[0].cache.values, &[5.0, 5.0, 2.5, 2.0]);
    let threshold = d2o.layer.merge_threshold.expect("one compression has set it");
    assert!((threshold - 0.9).abs() < 1e-6);
    let again = compression(ATTENTION, rest).apply(&d2o.layer, 1).layer.merge_threshold.expect("it stays");
    assert!((again - 0.3 * 0.9).abs() < 1e-6, "the two keys left have a cosine of zero: {again}");

    // Values alone, by cosine and by length.
    let pressed = after(Rest::MergingPress { threshold: 0.9 });
    assert_eq!(pressed.traces[0].fates, [merged, kept, Fate::ZeroClass, kept]);
    assert_eq!(pressed.traces[0].similarity, [Some(1.0), None, pressed.traces[0].similarity[2], None]);
    let weight = 1.0 / (1.0 + 32.0_f32.sqrt());
    let value = [(4.0 + weight) / (1.0 + weight), 4.0 / (1.0 + weight)];
    close("values", &pressed.layer.heads[0].cache.values, &[5.0, 5.0, value[0], value[1]]);
    assert_eq!(pressed.layer.heads[0].cache.keys, [1.0, 0.0, 0.0, 1.0]);

    // By score, after the products of both cosines: .71 for the first, .57 for the third.
    let ems = after(Rest::Ems(Ems { mass: 1.0, ..Ems::default() }));
    let scores = &ems.traces[0].scores.scores;
    assert_eq!(scores, &[0.25, 3.0, 1.0, 8.0]);
    assert_eq!(ems.traces[0].fates, [merged, kept, merged, kept]);
    let value = [(32.0 + 0.25) / 9.25, (32.0 + 2.0) / 9.25];
    close("values", &ems.layer.heads[0].cache.values, &[5.0, 5.0, value[0], value[1]]);
    let (x, y) = (0.6_f32, 8.0 + 0.25 + 0.8_f32);
    close("keys", &ems.layer.heads[0].cache.keys, &[1.0, 0.0, x / x.hypot(y), y / x.hypot(y)]);
    assert_eq!(ems.layer.heads[0].sums, [9.0, 11.0], "a center has had the attention of all its members");
    let dissimilar = after(Rest::Ems(Ems { mass: 1.0, threshold: 0.6, ..Ems::default() }));
    assert_eq!(dissimilar.traces[0].fates, [merged, kept, Fate::ZeroClass, kept]);
    let relevant = after(Rest::Ems(Ems { mass: 0.95, ..Ems::default() }));
    assert_eq!(relevant.traces[0].fates, [Fate::Evicted, kept, merged, kept]);
}

#[test]
fn a_value_that_is_spread_is_not_lost() {
    // Everyone had more attention than those after, and so joins them for certain.
    let layer = by_hand(&[
        ([1.0, 0.0], [6.0, 0.0], 9.0),
        ([1.0, 0.0], [1.0, 1.0], 1.0),
        ([1.0, 0.0], [2.0, 2.0], 1.0),
        ([1.0, 0.0], [3.0, 3.0], 0.0),
    ]);
    let spread = |window: usize| {
        let after = compression(Score::Window, Rest::Cam { window, seed: 1 }).apply(&layer, 2);
        assert_eq!(after.traces[0].fates, [Fate::Spread, Fate::Spread, Fate::Kept, Fate::Kept]);
        after.layer.heads[0].cache.values.clone()
    };
    close("over two", &spread(2), &[5.5, 2.5, 6.5, 3.5]);
    close("over more than there are", &spread(32), &[5.5, 2.5, 6.5, 3.5]);
    close("over the next", &spread(1), &[9.0, 3.0, 3.0, 3.0]);
    // By chance, as often as the attention says: every second token is kept, and has had four times as much.
    let had = |token: usize| if token.is_multiple_of(2) { 1.0 } else { 4.0 } * (2000 - token) as f64;
    let tokens: Vec<_> = (0..2000).map(|token| ([1.0, 0.0], [1.0, 1.0], had(token))).collect();
    let after = compression(ATTENTION, Rest::Cam { window: 1, seed: 5 }).apply(&by_hand(&tokens), 1000);
    let spread = after.traces[0].fates.iter().filter(|fate| **fate == Fate::Spread).count();
    assert!((200..300).contains(&spread), "{spread} of 1,000, of which a quarter was to be expected");
}

/// Of two tokens that are the same, one that stands for both serves as well.
#[test]
fn log_mass_makes_up_for_a_twin() {
    let (other, twin, last) = ([-0.5, 2.0], [1.0, 0.5], [0.1, 0.2]);
    let mut layer =
        by_hand(&[(other, [3.0, 1.0], 5.0), (twin, [1.0, 2.0], 2.0), (twin, [1.0, 2.0], 2.0), (last, last, 1.0)]);
    layer.heads[0].recent.push_back(vec![0.5, 0.2, 0.2, 0.1]);
    let rest = Rest::Ems(Ems { mass: 1.0, threshold: 0.9, merge_keys: false, log_mass: true });
    let after = compression(Score::GlobalLocal { window: 1, combine: Combine::Max }, rest).apply(&layer, 3);
    assert_eq!(after.traces[0].fates, [Fate::Kept, Fate::Kept, Fate::Merged(1), Fate::Kept]);
    let mut output = [[0.0; 2]; 2];
    for (head, output) in [&layer.heads[0], &after.layer.heads[0]].into_iter().zip(&mut output) {
        let Cache { keys, values, log_mass } = &head.cache;
        kernels::attend(&[0.7, 1.1], [keys, values, log_mass], 1.0, &mut vec![0.0; head.tokens()], output);
    }
    close("output", &output[1], &output[0]);
}

/// A text, and the same read at once.
fn reading(config: &HouseTransformerConfig, length: usize) -> (Vec<usize>, PromptReading, Decoder) {
    let text: Vec<usize> = (0..length).map(|i| (i * i + 3 * i) % config.vocabulary).collect();
    let mut decoder = decoder(config);
    let reading = decoder.prefill(&text);
    (text, reading, decoder)
}

#[test]
fn a_cache_that_keeps_all_answers_as_the_whole_one() {
    let config = odd();
    let (text, reading, mut decoder) = reading(&config, 30);
    let want: Vec<Vec<f32>> = [5, 1, 8].map(|token| decoder.read(token)).into();
    let layers = reading.kv_layers(8);
    for score in SCORES {
        for rest in RESTS {
            let method = compression(score, rest);
            let after: Vec<Layer> = layers.iter().map(|layer| method.apply(layer, 30).layer).collect();
            decoder.resume(&reading, 30, after.iter().map(|layer| layer.caches(30)).collect());
            for (token, want) in [5, 1, 8].into_iter().zip(&want) {
                close("the next logits", &decoder.read(token), want);
            }
            // The last token read once more.
            decoder.resume(&reading, 29, after.iter().map(|layer| layer.caches(29)).collect());
            close("the last logits", &decoder.read(text[29]), &reading.logits[29 * config.vocabulary..]);
        }
    }
    // What is left of a compressed cache is read on from without fail.
    let after = layers.iter().map(|layer| compression(ATTENTION, RESTS[3]).apply(layer, 6).layer.caches(30));
    decoder.resume(&reading, 30, after.collect());
    assert!(decoder.read(5).iter().all(|logit| logit.is_finite()));
    assert!(decoder.caches.iter().flatten().all(|cache| cache.keys.len() == 7 * config.d_head));
    assert!(decoder.caches.iter().flatten().all(|cache| cache.log_mass.is_empty() || cache.log_mass.len() == 7));
}

#[test]
fn renumbered_keys_are_those_of_their_new_places() {
    let config = odd();
    let (_, reading, _) = reading(&config, 20);
    let d_head = config.d_head;
    let mut layer = compression(Score::StreamingLlm { sinks: 2 }, Rest::Drop).apply(&reading.layer(1, 8), 7).layer;
    layer.renumber(&Rotation::frequencies(d_head, config.rotary_base));
    for (head, after) in layer.heads.iter().enumerate() {
        assert_eq!(after.positions, [0, 1, 2, 3, 4, 5, 6]);
        let kept = [0, 1, 15, 16, 17, 18, 19].into_iter();
        let plain = kept.flat_map(|token| &reading.layers[1].plain_keys[(head * 20 + token) * d_head..][..d_head]);
        let mut plain: Vec<f32> = plain.copied().collect();
        Rotation::new(0..7, d_head, config.rotary_base).turn(&mut plain, 1);
        close("keys", &after.cache.keys, &plain);
    }
}

/// Reads a token, and lets each layer's compression take notice of it; gives its logits and what was compressed.
fn read(decoder: &mut Decoder, online: &mut [Online], token: usize) -> (Vec<f32>, Vec<Option<Vec<Trace>>>) {
    let position = decoder.position();
    let mut rows = vec![vec![]; online.len()];
    let logits = decoder.read_observed(token, |layer, _, weights| rows[layer].push(weights.to_vec()));
    let layers = online.iter_mut().zip(&mut decoder.caches).zip(&rows);
    (logits, layers.map(|((online, caches), rows)| online.read(position, rows, caches)).collect())
}

fn from_nothing(config: &HouseTransformerConfig, method: Compression, budget: usize, slack: usize) -> Vec<Online> {
    let layer = |layer| Layer::new(layer, config.d_head, config.key_heads, 8);
    (0..config.layers).map(|index| Online::new(method, budget, slack, layer(index))).collect()
}

#[test]
fn a_layer_that_reads_on_knows_what_a_prompt_would_have_told_it() {
    let config = odd();
    let (text, reading, mut decoder) = reading(&config, 25);
    decoder.clear();
    let mut online = from_nothing(&config, compression(GLOBAL_LOCAL, Rest::Drop), 100, 1);
    for &token in &text {
        let (_, traces) = read(&mut decoder, &mut online, token);
        assert!(traces.iter().all(Option::is_none));
    }
    for (index, online) in online.iter().enumerate() {
        let (want, got) = (reading.layer(index, 8), online.layer());
        for (want, got) in want.heads.iter().zip(&got.heads) {
            assert_eq!(want.positions, got.positions);
            assert_eq!(want.recent.len(), got.recent.len());
            let pairs =
                want.sums.iter().zip(&got.sums).chain(want.recent.iter().flatten().zip(got.recent.iter().flatten()));
            assert!(pairs.into_iter().all(|(want, got)| (want - got).abs() < 1e-4));
        }
    }
}

/// The published loop of H2O, on one head of keys: sums grow by each row, and the worst but the recent goes.
#[test]
fn h2o_evicts_at_each_step_as_published() {
    let config = HouseTransformerConfig { layers: 1, heads: 2, key_heads: 1, ..odd() };
    let (budget, mut decoder) = (8, decoder(&config));
    let mut online = from_nothing(&config, compression(Score::H2o, Rest::Drop), budget, 1);
    let (mut sums, mut here): (Vec<f64>, Vec<usize>) = (vec![], vec![]);
    for step in 0..40_usize {
        let mut rows = vec![];
        let position = decoder.position();
        decoder.read_observed(step * step % 11, |_, _, weights| rows.push(weights.to_vec()));
        sums.push(0.0);
        here.push(step);
        for (at, sum) in sums.iter_mut().enumerate() {
            *sum += rows.iter().map(|row| f64::from(row[at]) / 2.0).sum::<f64>();
        }
        if here.len() > budget {
            let heavy = &sums[..here.len() - budget / 2];
            let worst = (0..heavy.len()).min_by(|&a, &b| heavy[a].total_cmp(&heavy[b])).expect("there are some");
            sums.remove(worst);
            here.remove(worst);
        }
        online[0].read(position, &rows, &mut decoder.caches[0]);
        assert_eq!(online[0].layer().heads[0].positions, here, "step {step}");
        assert_eq!(decoder.caches[0][0].keys.len(), here.len() * config.d_head);
    }
}

#[test]
fn caches_stay_within_their_budgets_while_a_model_writes() {
    let config = odd();
    for score in SCORES {
        for rest in RESTS {
            for (split, slack) in [(Split::Uniform, 1), (Split::Uniform, 8), (Split::Ada { safeguard: 0.2 }, 3)] {
                let mut decoder = decoder(&config);
                let (method, budget) = (Compression { score, split, rest }, 10);
                let mut online = from_nothing(&config, method, budget, slack);
                for step in 0..40_usize {
                    let (logits, traces) = read(&mut decoder, &mut online, step * step % 11);
                    assert!(logits.iter().all(|logit| logit.is_finite()), "{method:?}");
                    for ((online, caches), traces) in online.iter().zip(&decoder.caches).zip(traces) {
                        let rows: usize = caches.iter().map(|cache| cache.keys.len() / config.d_head).sum();
                        let most = config.key_heads * if traces.is_some() { budget } else { budget + slack - 1 };
                        assert!(rows <= most, "{rows} rows in {method:?}");
                        assert_eq!(online.layer().tokens(), rows);
                    }
                }
                assert_eq!(decoder.position(), 40, "positions are the true ones");
            }
        }
    }
}

/// However often centers merge, what was looked at goes with them: only what is dropped is lost.
#[test]
fn merged_tokens_hand_on_their_attention() {
    let config = odd();
    let rest = Rest::Ems(Ems { mass: 1.0, threshold: -1.0, ..Ems::default() });
    let mut decoder = decoder(&config);
    let mut online = from_nothing(&config, compression(GLOBAL_LOCAL, rest), 9, 8);
    for step in 0..60_usize {
        read(&mut decoder, &mut online, step * step % 11);
        for head in online.iter().flat_map(|online| &online.layer().heads) {
            let total: f64 = head.sums.iter().sum();
            assert!((total - (step + 1) as f64).abs() < 1e-4, "each query looks once: {total} after {}", step + 1);
        }
    }
}

#[test]
fn tova_and_streaming_keep_the_same_tokens_in_every_head() {
    let config = odd();
    let run = |score: Score, faithful: bool| {
        let mut decoder = decoder(&config);
        let mut online = from_nothing(&config, compression(score, Rest::Drop), 9, 1);
        let frequencies = Rotation::frequencies(config.d_head, config.rotary_base);
        for step in 0..30_usize {
            assert!(!faithful || decoder.position() <= 9);
            let (_, traces) = read(&mut decoder, &mut online, step * step % 11);
            if faithful && traces.iter().all(Option::is_some) {
                online
                    .iter_mut()
                    .zip(&mut decoder.caches)
                    .for_each(|(online, caches)| online.renumber(&frequencies, caches));
                decoder.stand_at(9);
            }
        }
        let places: Vec<Vec<usize>> =
            online.iter().flat_map(|online| &online.layer().heads).map(|head| head.positions.clone()).collect();
        (places, decoder)
    };
    let (tova, _) = run(Score::Tova, false);
    assert!(tova.chunks(config.key_heads).all(|heads| heads.iter().all(|head| *head == heads[0])));
    let streaming = Score::StreamingLlm { sinks: 4 };
    let (places, _) = run(streaming, false);
    assert!(places.iter().all(|places| *places == [0, 1, 2, 3, 25, 26, 27, 28, 29]));
    // As published: keys stand where they are in the cache, as if turned there at once.
    let (places, turned) = run(streaming, true);
    assert!(places.iter().all(|places| *places == [0, 1, 2, 3, 4, 5, 6, 7, 8]));
    let mut fresh = decoder(&config);
    fresh.prefill(&[0, 1, 4]);
    close("a sink stays where it was", &turned.caches[0][0].keys[..3 * config.d_head], &fresh.caches[0][0].keys);
}

#[test]
fn scores_of_ems_are_on_one_scale() {
    let layer = layer(SHAPES[6], 9);
    for head in &layer.heads {
        let scores = global_local(head, 8);
        let mean = |scores: &[f64]| scores.iter().sum::<f64>() / scores.len() as f64;
        assert_eq!(scores.global.len(), 112);
        assert!((mean(&scores.aligned) - mean(&scores.local)).abs() < 1e-12);
        let [most, sum] = [Combine::Max, Combine::Sum].map(|combine| scores.combined(combine));
        assert!(most.iter().zip(&sum).all(|(most, sum)| most < sum && 2.0 * most >= *sum));
    }
}
