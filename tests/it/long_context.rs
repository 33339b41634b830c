//! Reading beyond the trained length: what each method lets a head see and where, what it costs, and that a decoder
//! which reads so is the decoder where both can.

use std::sync::{Arc, Mutex};

use burn::tensor::Device;
use heads_and_tails::drive::find;
use heads_and_tails::lab::{Status, Values, seeded};
use heads_and_tails::labs::RUNNERS;
use heads_and_tails::mech::adam::parameters;
use heads_and_tails::mech::checkpoint;
use heads_and_tails::mech::house_transformer::{Decoder, HouseTransformerConfig};
use heads_and_tails::mech::long_context::{
    Counts, Full, Hand, HeadShape, Interpolation, Layer, LongHeads, Look, Method, Ntk, Phase, Ranking, Representation,
    Rotary, Seeker, Summary, Why, Window,
};
use heads_and_tails::mech::long_decoder::LongDecoder;
use heads_and_tails::mech::ops::Rotation;
use heads_and_tails::mech::recall_language::{ASK, Context, ContextConfig, RecallLanguage, VOCABULARY, filler, rank};
use heads_and_tails::mech::recall_training::likeliest;
use heads_and_tails::seed::Stream;
use pollster::block_on;

use crate::house_transformer::{close, decoder, odd};
use crate::site::host;

const BASE: f64 = 10_000.0;
const SHAPE: HeadShape = HeadShape { heads: 4, key_heads: 2, d_head: 6 };

fn ranked(ranking: Ranking) -> LongHeads {
    LongHeads { ranking, ..LongHeads::new(3, 12) }
}

/// One of each kind, none of which sees more than 12 tokens unless it sees all.
fn methods() -> Vec<Arc<dyn Method>> {
    vec![
        Arc::new(Full),
        Arc::new(Window { attended: 12, sinks: 0 }),
        Arc::new(Window { attended: 12, sinks: 4 }),
        Arc::new(Interpolation { trained: 12 }),
        Arc::new(Ntk { trained: 12 }),
        Arc::new(LongHeads::new(3, 12)),
        Arc::new(ranked(Ranking::Scores(Representation::MeanKey))),
        Arc::new(ranked(Ranking::Random { seed: 1 })),
        Arc::new(LongHeads { oracle: vec![2, 5], ..LongHeads::new(3, 12) }),
    ]
}

/// Queries, keys and values of a token.
type Rows = [Vec<f32>; 3];

fn some_rows(tokens: usize, shape: HeadShape) -> Vec<Rows> {
    let mut stream = Stream::new(4, "rows");
    let mut row = |heads: usize| (0..heads * shape.d_head).map(|_| stream.normal(0.0, 1.0) as f32).collect();
    (0..tokens).map(|_| [row(shape.heads), row(shape.key_heads), row(shape.key_heads)]).collect()
}

fn read(layer: &mut Layer, phase: Phase, [query, key, value]: &Rows) -> (Vec<f32>, Vec<(Look, Vec<f32>)>) {
    let mut seen = vec![];
    let found = layer.read(phase, [query, key, value], |head, look, weights| {
        assert_eq!(head, seen.len());
        seen.push((look.clone(), weights.to_vec()));
    });
    (found, seen)
}

fn layer(method: impl Method + 'static, tokens: usize) -> Layer {
    Layer::new(Arc::new(method), 1, SHAPE, BASE, tokens)
}

fn some_text(length: usize, vocabulary: usize) -> Vec<usize> {
    (0..length).map(|i| (i * i + 3 * i) % vocabulary).collect()
}

/// The plain way: gather the keys, turn each to where it is laid and the query to its own place.
#[test]
fn attention_is_that_of_keys_turned_to_their_places() {
    const TOKENS: usize = 50;
    let HeadShape { heads, key_heads, d_head } = SHAPE;
    let rows = some_rows(TOKENS, SHAPE);
    for method in methods() {
        let mut layer = Layer::new(method.clone(), 0, SHAPE, BASE, TOKENS);
        let Rotary { base, step } = layer.rotary();
        let frequencies = Rotation::frequencies(d_head, base);
        let turn = |row: &[f32], place: usize| -> Vec<f64> {
            let turned = |at: usize| {
                let (a, b) = (f64::from(row[at % 3]), f64::from(row[at % 3 + 3]));
                let (sine, cosine) = (place as f64 * step * frequencies[at % 3]).sin_cos();
                if at < 3 { a * cosine - b * sine } else { b * cosine + a * sine }
            };
            (0..d_head).map(turned).collect()
        };
        for (token, row) in rows.iter().enumerate() {
            let (found, seen) = read(&mut layer, Phase::Encode, row);
            for (head, (look, weights)) in seen.iter().enumerate() {
                let query = turn(&row[0][head * d_head..][..d_head], look.query);
                let own = head / (heads / key_heads) * d_head;
                let scores = look.tokens().zip(look.places()).map(|(at, place)| {
                    let key = turn(&rows[at][1][own..][..d_head], place);
                    let product: f64 = key.iter().zip(&query).map(|(k, q)| k * q).sum();
                    (product / (d_head as f64).sqrt()).exp()
                });
                let scores: Vec<f64> = scores.collect();
                let total: f64 = scores.iter().sum();
                let wanted: Vec<f32> = scores.iter().map(|score| (score / total) as f32).collect();
                close(&format!("{method:?}, token {token}"), weights, &wanted);
                let value = |at: usize, column: usize| rows[at][2][own + column];
                let mean = |column| look.tokens().zip(&wanted).map(|(at, weight)| weight * value(at, column)).sum();
                let wanted: Vec<f32> = (0..d_head).map(mean).collect();
                close(&format!("{method:?}, token {token}"), &found[head * d_head..][..d_head], &wanted);
            }
        }
    }
}

/// Every place that any method but the full ones lays a token at is one that the model was trained with.
#[test]
fn no_distance_is_greater_than_what_is_attended() {
    const TOKENS: usize = 1000;
    let rows = some_rows(TOKENS, SHAPE);
    let one = |method: Arc<dyn Method>, attended: usize| {
        for phase in [Phase::Encode, Phase::Generate] {
            let mut layer = Layer::new(method.clone(), 0, SHAPE, BASE, TOKENS);
            for (token, row) in rows.iter().enumerate() {
                for (look, _) in read(&mut layer, phase, row).1 {
                    assert!(look.query < attended, "{method:?}, token {token}: its query stands at {}", look.query);
                    assert!(look.places().eq(0..look.keys()) && look.keys() <= attended, "{method:?}, token {token}");
                    assert!(look.places().all(|place| place <= look.query));
                    assert!(look.tokens().is_sorted_by(|a, b| a < b) && look.tokens().all(|seen| seen <= token));
                    // The distance to itself, and to those right before it, is what it is.
                    let last = look.spans.last().expect("it sees something");
                    assert_eq!(look.query - last.place, token - last.tokens.start, "{method:?}, token {token}");
                }
            }
        }
    };
    for width in [1, 3, 4, 8, 16] {
        one(Arc::new(LongHeads { own_token: false, ..LongHeads::new(width, 48) }), 48);
        one(Arc::new(LongHeads { ranking: Ranking::Random { seed: 3 }, ..LongHeads::new(width, 48) }), 48);
    }
    one(Arc::new(Window { attended: 30, sinks: 0 }), 30);
    one(Arc::new(Window { attended: 30, sinks: 4 }), 30);
}

#[test]
fn a_text_no_longer_than_what_is_attended_is_read_whole() {
    let rows = some_rows(13, SHAPE);
    for method in methods() {
        let rotary = method.rotary(Rotary::plain(BASE), SHAPE.d_head, 12);
        assert_eq!(rotary, Rotary::plain(BASE), "{method:?}");
        let [mut full, mut other] =
            [Arc::new(Full), method.clone()].map(|method: Arc<dyn Method>| Layer::new(method, 1, SHAPE, BASE, 12));
        for row in &rows[..12] {
            assert_eq!(read(&mut full, Phase::Encode, row), read(&mut other, Phase::Encode, row), "{method:?}");
        }
        let differs = read(&mut full, Phase::Encode, &rows[12]) != read(&mut other, Phase::Encode, &rows[12]);
        let sees_all = method.rotary(Rotary::plain(BASE), SHAPE.d_head, 13) != rotary;
        assert_eq!(differs, !sees_all && format!("{method:?}") != "Full", "{method:?}: from the next token on");
    }
}

#[test]
fn a_head_sees_the_first_chunk_the_last_two_and_those_that_rank_highest() {
    let rows = some_rows(200, SHAPE);
    for (width, chunks) in [(1, 5), (4, 4), (8, 3), (5, 9)] {
        let method = LongHeads::new(width, width * chunks);
        let mut layer = layer(method.clone(), 200);
        for (token, row) in rows.iter().enumerate() {
            for (head, (look, weights)) in read(&mut layer, Phase::Encode, row).1.into_iter().enumerate() {
                let Some(choice) = &look.choice else {
                    assert!(token < width * chunks);
                    assert_eq!(look, Look::full(token));
                    continue;
                };
                let own = token / width;
                let seen: Vec<usize> = choice.chunks.iter().map(|chosen| chosen.chunk).collect();
                assert!(token >= width * chunks && seen.len() == chunks && seen.is_sorted_by(|a, b| a < b));
                let always = choice.chunks.iter().filter(|chosen| chosen.why == Why::Always);
                assert_eq!(always.map(|chosen| chosen.chunk).collect::<Vec<_>>(), [0, own - 1, own]);
                // Scores are of the plain query, and no chunk that is left out has a higher one.
                let query = &row[0][head * SHAPE.d_head..][..SHAPE.d_head];
                for (score, summary) in choice.scores.iter().zip(layer.summaries(head).chunks(SHAPE.d_head)) {
                    let wanted: f32 = query.iter().zip(summary).map(|(q, r)| q * r).sum();
                    assert!((score - wanted).abs() < 1e-4);
                }
                assert_eq!(choice.scores.len(), own);
                let ranked = || seen.iter().filter(|&&chunk| 0 < chunk && chunk + 1 < own);
                let lowest = ranked().map(|&chunk| choice.scores[chunk]).fold(f32::INFINITY, f32::min);
                let left = (1..own - 1).filter(|chunk| !seen.contains(chunk));
                assert!(left.map(|chunk| choice.scores[chunk]).all(|score| score <= lowest));
                // Its tokens are those chunks up to itself.
                let tokens = seen.iter().flat_map(|chunk| chunk * width..((chunk + 1) * width).min(token + 1));
                assert!(look.tokens().eq(tokens) && weights.len() == look.keys());
                assert_eq!(look.query, (chunks - 1) * width + token % width);
                assert_eq!(look.places().last(), Some(look.query), "the token itself stands where its query does");
            }
        }
    }
}

#[test]
fn with_three_chunks_or_fewer_nothing_is_left_to_choose() {
    for attended in [0, 1, 8, 16, 24, 31] {
        let method = LongHeads::new(8, attended);
        assert_eq!((method.chunks, method.attended(), method.width), (3, 24, 8));
    }
    assert_eq!((LongHeads::new(8, 32).chunks, LongHeads::new(8, 39).attended()), (4, 32));
}

/// In a prompt as the official code reads it, a token does not see itself once chunks are chosen; later it does.
#[test]
fn a_token_sees_itself_as_its_phase_says() {
    let rows = some_rows(40, SHAPE);
    for (own_token, phase, itself) in [
        (true, Phase::Encode, true),
        (true, Phase::Generate, true),
        (false, Phase::Encode, false),
        (false, Phase::Generate, true),
    ] {
        let mut layer = layer(LongHeads { own_token, ..LongHeads::new(3, 12) }, 40);
        for (token, row) in rows.iter().enumerate() {
            for (look, _) in read(&mut layer, phase, row).1 {
                assert_eq!(look.tokens().last() == Some(token), itself || token < 12);
                assert_eq!(look.query, if token < 12 { token } else { 9 + token % 3 });
            }
        }
    }
}

/// A method that keeps notes of what it is told.
#[derive(Debug)]
struct Spy(LongHeads, Mutex<Vec<[usize; 2]>>);

impl Method for Spy {
    fn summary(&self) -> Option<Summary> {
        self.0.summary()
    }

    fn look(&self, seeker: &Seeker) -> Look {
        self.1.lock().unwrap().push([seeker.token, seeker.summaries.len()]);
        self.0.look(seeker)
    }
}

#[test]
fn a_summary_is_made_once_when_its_chunk_is_full_and_used_only_then() {
    const TOKENS: usize = 40;
    let rows = some_rows(TOKENS, SHAPE);
    let spy = Arc::new(Spy(LongHeads::new(3, 12), Mutex::default()));
    let mut watched = Layer::new(spy.clone(), 1, SHAPE, BASE, TOKENS);
    let mut made: Vec<Vec<f32>> = vec![vec![]; SHAPE.heads];
    for (token, row) in rows.iter().enumerate() {
        read(&mut watched, Phase::Encode, row);
        for (head, made) in made.iter_mut().enumerate() {
            let now = watched.summaries(head);
            assert_eq!(now.len(), (token + 1) / 3 * SHAPE.d_head);
            assert!(now.starts_with(made), "a summary was made anew");
            *made = now.to_vec();
        }
    }
    let told = spy.1.lock().unwrap();
    assert_eq!(told.len(), TOKENS * SHAPE.heads);
    assert!(told.iter().all(|[token, numbers]| *numbers == token / 3 * SHAPE.d_head));

    // Another token changes the summary of its own chunk, for every head that reads its key, and no other.
    let mut other = rows.clone();
    other[7][1][0] += 1.0;
    let mut layer = layer(LongHeads::new(3, 12), TOKENS);
    other.iter().for_each(|row| drop(read(&mut layer, Phase::Encode, row)));
    for (head, made) in made.iter().enumerate() {
        let pairs = made.chunks(SHAPE.d_head).zip(layer.summaries(head).chunks(SHAPE.d_head));
        for (chunk, (one, other)) in pairs.enumerate() {
            assert_eq!(one != other, chunk == 2 && head < 2, "chunk {chunk} of head {head}");
        }
    }
}

#[test]
fn chance_chooses_anew_for_each_layer_head_and_token() {
    const TOKENS: usize = 400;
    let rows = some_rows(TOKENS, SHAPE);
    let chosen = |index: usize, seed: u64| -> Vec<Vec<usize>> {
        let method = LongHeads { ranking: Ranking::Random { seed }, ..LongHeads::new(4, 24) };
        let mut layer = Layer::new(Arc::new(method), index, SHAPE, BASE, TOKENS);
        let mut all = vec![];
        for row in &rows {
            for (look, _) in read(&mut layer, Phase::Encode, row).1 {
                let Some(choice) = look.choice else { continue };
                assert!(choice.scores.is_empty() && choice.chunks.len() == 6);
                all.push(choice.chunks.iter().map(|chosen| chosen.chunk).collect());
            }
        }
        assert_eq!((layer.summaries(0).len(), all.len()), (0, (TOKENS - 24) * SHAPE.heads));
        all
    };
    let one = chosen(0, 1);
    assert_eq!(one, chosen(0, 1));
    assert!(one != chosen(1, 1) && one != chosen(0, 2));
    assert_ne!(one[one.len() - 1], one[one.len() - 2], "heads differ");
    // Each of the chunks between is as likely: three of so many.
    let late = &one[one.len() - SHAPE.heads * 100..];
    let share = late.iter().filter(|chunks| chunks.contains(&20)).count() as f64 / late.len() as f64;
    assert!((0.01..0.08).contains(&share), "{share}");
}

#[test]
fn chunks_are_put_on_and_off_by_hand() {
    let rows = some_rows(60, SHAPE);
    let looks = |hand: Hand, oracle: Vec<usize>| {
        let mut layer = layer(LongHeads { oracle, ..LongHeads::new(3, 15) }, 60);
        layer.hands[2] = hand;
        let mut last = vec![];
        rows.iter().for_each(|row| last = read(&mut layer, Phase::Encode, row).1);
        let mut choices = last.into_iter().map(|(look, _)| (look.query, look.choice.unwrap().chunks));
        // The head before it keeps its freedom.
        let (free, (query, chunks)) = (choices.nth(1).unwrap(), choices.next().unwrap());
        let seen = |why: Why| -> Vec<usize> {
            chunks.iter().filter(|chosen| chosen.why == why).map(|chosen| chosen.chunk).collect()
        };
        (free, query, [Why::Always, Why::Hand, Why::Oracle, Why::Ranked].map(seen))
    };
    let (free, query, [always, by_hand, oracle, ranked]) = looks(Hand::default(), vec![]);
    assert_eq!((query, always, by_hand, oracle, ranked.len()), (14, vec![0, 18, 19], vec![], vec![], 2));
    // What ranks highest gives way to what is put on, and comes back where something is put off.
    let on = Hand { on: vec![7, 18, 99], ..Hand::default() };
    let (same, _, [always, by_hand, _, fewer]) = looks(on, vec![]);
    assert_eq!((same, always, by_hand, fewer.len()), (free.clone(), vec![0, 18, 19], vec![7], 1));
    let off = Hand { off: vec![0, 18, 19, ranked[0]], ..Hand::default() };
    let (same, query, [always, _, _, others]) = looks(off, vec![]);
    assert_eq!((same, query, always, others.len()), (free, 14, vec![19], 4));
    assert!(!others.contains(&ranked[0]) && others.contains(&ranked[1]));
    // More than there is room for.
    let on = Hand { on: (3..9).collect(), ..Hand::default() };
    assert_eq!(looks(on.clone(), vec![]).2, [vec![0, 18, 19], vec![3, 4], vec![], vec![]]);
    assert_eq!(looks(on, vec![12]).2, [vec![0, 18, 19], vec![3, 4], vec![], vec![]]);
    assert_eq!(looks(Hand::default(), vec![12]).2[2], [12]);
    // All others off: it sees its own chunk, from its beginning.
    let none = Hand { off: (0..19).collect(), ..Hand::default() };
    let (_, query, [always, _, _, ranked]) = looks(none, vec![]);
    assert_eq!((query, always, ranked), (2, vec![19], vec![]));
}

#[test]
fn a_head_that_is_switched_off_gives_zeros_and_still_looks() {
    let rows = some_rows(30, SHAPE);
    let (mut whole, mut without) = (layer(LongHeads::new(3, 12), 30), layer(LongHeads::new(3, 12), 30));
    without.hands[1].silent = true;
    for row in &rows {
        let ((mut want, looks), (got, same)) =
            (read(&mut whole, Phase::Encode, row), read(&mut without, Phase::Encode, row));
        want[SHAPE.d_head..2 * SHAPE.d_head].fill(0.0);
        assert_eq!((want, looks), (got, same));
    }
}

#[test]
fn what_a_look_costs_is_what_it_takes() {
    const TOKENS: usize = 90;
    let rows = some_rows(TOKENS, SHAPE);
    for (method, phase) in
        methods().into_iter().flat_map(|method| [(method.clone(), Phase::Encode), (method, Phase::Generate)])
    {
        let mut layer = Layer::new(method.clone(), 0, SHAPE, BASE, TOKENS);
        for (token, row) in rows.iter().enumerate() {
            for (look, weights) in read(&mut layer, phase, row).1 {
                let compared = look.choice.as_ref().map_or(0, |choice| choice.scores.len());
                // A product with each summary and with each key, and one of a weight with each value, number by number.
                let mut numbers = 0;
                (0..compared).for_each(|_| numbers += SHAPE.d_head);
                weights.iter().for_each(|_| numbers += SHAPE.d_head + SHAPE.d_head);
                let counts = look.counts(SHAPE.d_head);
                let want = Counts { keys: weights.len(), compared, multiply_adds: numbers, bytes: 2 * numbers };
                assert_eq!(counts, want, "{method:?}, token {token}");
                // The card's formula, (T/w) d + 2 A d, for a token that ends a chunk; its own is not compared.
                if method.summary().is_some() && token == 89 {
                    assert_eq!(counts.multiply_adds, (29 + 2 * 12) * SHAPE.d_head);
                }
            }
        }
    }
    // A chunk of 3 at once: each of its queries with 3 keys and 3 values, then their mean with 3 keys, twice; it reads three
    // lists of 3.
    let summary = Summary { width: 3, representation: Representation::Attended };
    let once = (3 * (3 + 3) + (3 + 3)) * 4;
    let share = Counts { keys: 0, compared: 0, multiply_adds: once / 3, bytes: 2 * (3 * 3 * 4) / 3 };
    assert_eq!(summary.counts(4), share);
    let two = [Look::full(2).counts(4), Look::full(4).counts(4)];
    let sum = Counts { keys: 8, compared: 0, multiply_adds: 64, bytes: 128 };
    assert_eq!(two.into_iter().sum::<Counts>(), sum);
}

// The decoder.

fn long(decoder: &Arc<Decoder>, method: &Arc<dyn Method>, length: usize) -> LongDecoder {
    LongDecoder::new(decoder.clone(), method.clone(), length)
}

#[test]
fn who_sees_everything_reads_as_the_decoder_does() {
    for config in [HouseTransformerConfig::new(97), odd()] {
        let mut plain = decoder(&config);
        let text = some_text(50, config.vocabulary);
        let want = plain.prefill(&text);
        let mut full = long(&Arc::new(plain.clone()), &(Arc::new(Full) as Arc<dyn Method>), text.len());
        let mut seen = 0;
        let got = full.prompt_observed(&text, |sight| {
            let row = &want.layers[sight.layer].attention[(sight.head * text.len() + sight.token) * text.len()..];
            close("attention", sight.weights, &row[..=sight.token]);
            seen += 1;
        });
        assert_eq!((seen, full.tokens()), (config.layers * config.heads * text.len(), text.len()));
        close("logits of a prompt", &got, &want.logits);
        for token in [3, 1, 4] {
            close("logits after it", &full.read(token), &plain.read(token));
        }
    }
}

/// A prompt in any parts, and tokens one by one, are the text. The two phases differ in one thing only.
#[test]
fn reading_in_parts_is_reading_at_once() {
    const TOKENS: usize = 60;
    for config in [HouseTransformerConfig::new(97), odd()] {
        let model = Arc::new(decoder(&config));
        let text = some_text(TOKENS, config.vocabulary);
        for method in methods() {
            let want = long(&model, &method, TOKENS).prompt(&text);
            let mut parts = long(&model, &method, TOKENS);
            let mut got = [parts.prompt(&text[..1]), parts.prompt(&text[1..29])].concat();
            text[29..].iter().for_each(|&token| got.extend(parts.read(token)));
            close(&format!("{method:?}"), &got, &want);
        }
        let official: Arc<dyn Method> = Arc::new(LongHeads { own_token: false, ..LongHeads::new(3, 12) });
        let (mut encoded, mut generated) = (long(&model, &official, TOKENS), long(&model, &official, TOKENS));
        let whole = encoded.prompt(&text);
        let own: Arc<dyn Method> = Arc::new(LongHeads::new(3, 12));
        let with_own = long(&model, &own, TOKENS).prompt(&text);
        let one_by_one: Vec<f32> = text.iter().flat_map(|&token| generated.read(token)).collect();
        close("a token that is generated sees itself", &one_by_one, &with_own);
        let before = 12 * config.vocabulary;
        assert_eq!(whole[..before], with_own[..before]);
        assert_ne!(whole[before..], with_own[before..]);
    }
}

/// As far as the text is no longer than what is attended, and not a token further.
#[test]
fn a_short_prompt_is_read_as_by_full_attention() {
    let config = odd();
    let model = Arc::new(decoder(&config));
    let text = some_text(13, config.vocabulary);
    let full: Arc<dyn Method> = Arc::new(Full);
    for method in methods() {
        let (mut one, mut other) = (long(&model, &full, 12), long(&model, &method, 12));
        assert_eq!(one.prompt(&text[..9]), other.prompt(&text[..9]), "{method:?}");
        for &token in &text[9..12] {
            assert_eq!(one.read(token), other.read(token), "{method:?}");
        }
    }
}

#[test]
fn a_text_that_was_read_once_answers_many_questions() {
    let config = odd();
    let model = Arc::new(decoder(&config));
    let text = some_text(40, config.vocabulary);
    for method in methods() {
        let mut read = long(&model, &method, 42);
        read.prompt(&text);
        for asked in [[1, 2], [3, 4]] {
            let mut clone = read.clone();
            let mut anew = long(&model, &method, 42);
            anew.prompt(&text);
            for token in asked {
                assert_eq!(clone.read(token), anew.read(token), "{method:?}");
            }
        }
        assert_eq!(read.tokens(), 40);
    }
}

#[test]
fn heads_that_are_all_switched_off_leave_a_model_without_context() {
    let config = odd();
    let model = Arc::new(decoder(&config));
    let method: Arc<dyn Method> = Arc::new(LongHeads::new(3, 12));
    let read = |silent: bool, first: usize| {
        let mut decoder = long(&model, &method, 40);
        for layer in 0..config.layers {
            (0..config.heads).for_each(|head| decoder.hand(layer, head).silent = silent);
        }
        let mut text = some_text(40, config.vocabulary);
        text[0] = first;
        decoder.prompt(&text)[39 * config.vocabulary..].to_vec()
    };
    assert_ne!(read(false, 0), read(false, 1));
    assert_eq!(read(true, 0), read(true, 1));
}

// What the shipped models recall.

/// Tokens that the models were trained on, and how many a head sees.
const TRAINED: usize = 128;
const ATTENDED: usize = 96;

fn shipped(seed: u64) -> Arc<Decoder> {
    let bytes = block_on(host().asset(&format!("models/house-{seed}.safetensors"))).unwrap();
    let config = HouseTransformerConfig::new(VOCABULARY);
    let net = seeded(0, &Device::flex(), |device| config.init(device));
    let (net, _) = checkpoint::read(&bytes, net).unwrap();
    Arc::new(Decoder::new(config, block_on(parameters(&net)).expect("the CPU does not fail")))
}

fn contexts(tokens: usize, count: usize, seed: u64) -> Vec<Context> {
    let (language, config) = (RecallLanguage::default(), ContextConfig { tokens, ..ContextConfig::default() });
    let mut stream = Stream::at(seed, "long contexts", tokens as u64);
    (0..count).map(|_| language.context(&config, &mut stream)).collect()
}

/// The share of right answers to a question about each statement of each context.
fn recall(model: &Arc<Decoder>, method: &Arc<dyn Method>, contexts: &[Context]) -> f64 {
    let (mut right, mut all) = (0_usize, 0_usize);
    for context in contexts {
        let mut read = long(model, method, context.tokens.len() + 2);
        read.prompt(&context.tokens);
        for needle in &context.needles {
            let mut asked = read.clone();
            asked.read(ASK);
            right += usize::from(likeliest(&asked.read(needle.name)) == needle.value);
            all += 1;
        }
    }
    right as f64 / all as f64
}

/// The same where every head is told of the chunk with the answer.
fn recall_by_oracle(model: &Arc<Decoder>, method: &LongHeads, contexts: &[Context]) -> f64 {
    let one = |context: &Context| {
        let each = context.needles.iter().map(|needle| {
            let oracle = vec![(needle.at + 1) / method.width];
            let told: Arc<dyn Method> = Arc::new(LongHeads { oracle, ..method.clone() });
            recall(model, &told, &[Context { needles: vec![*needle], ..context.clone() }])
        });
        each.sum::<f64>() / context.needles.len() as f64
    };
    contexts.iter().map(one).sum::<f64>() / contexts.len() as f64
}

/// The point of the paper, where it is plainest.
#[test]
fn chunks_that_are_chosen_find_what_full_attention_no_longer_does() {
    let (model, contexts) = (shipped(1), contexts(512, 3, 5));
    let of = |method: Arc<dyn Method>| recall(&model, &method, &contexts);
    let [full, window] = [of(Arc::new(Full)), of(Arc::new(Window { attended: ATTENDED, sinks: 4 }))];
    let [chosen, by_chance] = [Ranking::Scores(Representation::Attended), Ranking::Random { seed: 1 }]
        .map(|ranking| of(Arc::new(LongHeads { ranking, ..LongHeads::new(8, ATTENDED) })));
    assert!(chosen >= 0.7 && full <= 0.6 && window <= 0.4 && by_chance <= 0.4, "{chosen} {full} {window} {by_chance}");
}

/// Recall, perplexity and time of each method with each shipped model, as a table. It takes minutes, so it runs only
/// where `HT_LONG_CONTEXT` is set.
#[test]
fn the_methods_against_the_length_of_the_text() {
    if std::env::var_os("HT_LONG_CONTEXT").is_none() {
        eprintln!("skipped: it takes minutes; HT_LONG_CONTEXT=1 runs it");
        return;
    }
    let models = [1, 2, 3].map(shipped);
    let heads = |width: usize| LongHeads::new(width, ATTENDED);
    let by = |ranking: Ranking| LongHeads { ranking, ..heads(8) };
    let rows: Vec<(&str, Arc<dyn Method>)> = vec![
        ("full attention", Arc::new(Full)),
        ("window 96", Arc::new(Window { attended: ATTENDED, sinks: 0 })),
        ("4 sinks + window", Arc::new(Window { attended: ATTENDED, sinks: 4 })),
        ("LongHeads w 4", Arc::new(heads(4))),
        ("LongHeads w 8", Arc::new(heads(8))),
        ("LongHeads w 16", Arc::new(heads(16))),
        ("random chunks w 8", Arc::new(by(Ranking::Random { seed: 1 }))),
        ("mean key w 8", Arc::new(by(Ranking::Scores(Representation::MeanKey)))),
        ("w 8 without itself", Arc::new(LongHeads { own_token: false, ..heads(8) })),
        ("interpolation", Arc::new(Interpolation { trained: TRAINED })),
        ("NTK", Arc::new(Ntk { trained: TRAINED })),
    ];
    let line = |name: &str, tokens: usize, recalls: [f64; 3]| {
        let mean = recalls.iter().sum::<f64>() / 3.0;
        println!("{tokens:5}  {name:20} {mean:.2}  ({:.2} {:.2} {:.2})", recalls[0], recalls[1], recalls[2]);
    };
    for (tokens, count) in [(128, 18), (256, 18), (512, 18), (1024, 12)] {
        let contexts = contexts(tokens, count, 5);
        println!("recall of {} questions in {tokens} tokens, mean (models 1, 2, 3)", 8 * count);
        for (name, method) in &rows {
            line(name, tokens, models.each_ref().map(|model| recall(model, method, &contexts)));
        }
        let few = &contexts[..count / 3];
        line("oracle chunk w 8", tokens, models.each_ref().map(|model| recall_by_oracle(model, &heads(8), few)));
        if tokens >= 512 {
            for (seed, model) in models.iter().enumerate() {
                let [any, best, covered] = division_of_labor(model, &heads(8), &contexts);
                let model = seed + 1;
                println!("       needle's chunk seen in the upper layer, model {model}: by some head {any:.2}");
                println!("       by the best head {best:.2}; chunks seen together {covered:.1} of {}", tokens / 8);
            }
        }
        for (name, method) in &rows {
            let surprises = models.each_ref().map(|model| perplexity(model, method, &contexts));
            println!("       perplexity after it, {name:20} {surprises:.1?}");
        }
    }
    println!("milliseconds with model 1: a prompt, and a token after it");
    for (name, method) in &rows {
        for tokens in [128, 256, 512, 1024] {
            let [prompt, token] = milliseconds(&models[0], method, tokens);
            println!("{tokens:5}  {name:20} {prompt:8.1} {token:8.3}");
        }
    }
}

/// For the last token of a question: how often some head of the upper layer sees the chunk with the answer, how often
/// the head does that does so most often, and how many chunks these heads see together.
fn division_of_labor(model: &Arc<Decoder>, method: &LongHeads, contexts: &[Context]) -> [f64; 3] {
    let (top, heads) = (model.config().layers - 1, model.config().heads);
    let (mut all, mut any, mut each, mut covered) = (0.0, 0.0, vec![0.0; heads], 0.0);
    let method_of_all: Arc<dyn Method> = Arc::new(method.clone());
    for context in contexts {
        let mut read = long(model, &method_of_all, context.tokens.len() + 2);
        read.prompt(&context.tokens);
        for needle in &context.needles {
            let mut asked = read.clone();
            asked.read(ASK);
            let (wanted, mut seen) = ((needle.at + 1) / method.width, vec![vec![]; heads]);
            asked.read_observed(needle.name, |sight| {
                if let Some(choice) = sight.look.choice.as_ref().filter(|_| sight.layer == top) {
                    seen[sight.head] = choice.chunks.iter().map(|chosen| chosen.chunk).collect::<Vec<_>>();
                }
            });
            let finds = seen.iter().map(|chunks| chunks.contains(&wanted));
            each.iter_mut().zip(finds.clone()).for_each(|(sum, finds)| *sum += f64::from(u8::from(finds)));
            any += f64::from(u8::from(finds.into_iter().any(|finds| finds)));
            let mut together = seen.concat();
            together.sort_unstable();
            together.dedup();
            covered += together.len() as f64;
            all += 1.0;
        }
    }
    [any / all, each.into_iter().fold(0.0, f64::max) / all, covered / all]
}

/// Of 24 fillers that go on from each context.
fn perplexity(model: &Arc<Decoder>, method: &Arc<dyn Method>, contexts: &[Context]) -> f64 {
    const CONTINUED: usize = 24;
    let language = RecallLanguage::default();
    let mut stream = Stream::new(6, "continuation");
    let mut surprise = 0.0;
    for context in contexts {
        let mut read = long(model, method, context.tokens.len() + CONTINUED);
        let logits = read.prompt(&context.tokens);
        let mut logits = logits[logits.len() - VOCABULARY..].to_vec();
        let mut before = context.tokens.iter().rev().find_map(|&token| rank(token));
        for _ in 0..CONTINUED {
            let next = stream.weighted(&language.after(before));
            before = Some(next);
            surprise -= f64::from(kernels::softmax(&logits, VOCABULARY)[filler(next)]).ln();
            logits = read.read(filler(next));
        }
    }
    (surprise / (CONTINUED * contexts.len()) as f64).exp()
}

/// The shortest of three times each.
fn milliseconds(model: &Arc<Decoder>, method: &Arc<dyn Method>, tokens: usize) -> [f64; 2] {
    const READ: usize = 20;
    let context = &contexts(tokens, 1, 7)[0];
    let mut least = [f64::INFINITY; 2];
    for _ in 0..3 {
        let mut read = long(model, method, tokens + READ);
        let start = std::time::Instant::now();
        read.prompt(&context.tokens);
        least[0] = start.elapsed().as_secs_f64().min(least[0]);
        let start = std::time::Instant::now();
        (0..READ).for_each(|_| drop(read.read(filler(0))));
        least[1] = (start.elapsed().as_secs_f64() / READ as f64).min(least[1]);
    }
    least.map(|seconds| 1e3 * seconds)
}

// The lab.

#[test]
fn chunks_are_shown_to_a_head_and_hidden_from_it_by_hand() {
    let runner = find(RUNNERS, "longheads").expect("it is in the catalogue");
    let seen = |press: &str| {
        let query = format!("length=256&chunk=3,17,9&press={press}");
        let (values, problems) = Values::from_query(runner.specs, &query);
        assert_eq!(problems, []);
        let mut lab = block_on((runner.start)(&values, &host())).expect("its model is there");
        while block_on(lab.step(&host())).expect("a reading does not fail") == Status::Running {}
        let frame = lab.frame();
        frame.panels.iter().find(|panel| panel.id == "chunks").expect("its panel").spoken()
    };
    assert!(
        seen("on").starts_with("Of the chunks 3, 17, 9, which are shown to it by hand, head 2.4 sees 3,"),
        "{}",
        seen("on")
    );
    assert!(seen("off").contains("head 2.4 sees 0, and spends 0 %"), "{}", seen("off"));
}
