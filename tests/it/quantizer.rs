//! The quantizers of the cache, beyond their golden vectors: what rotations keep, how far off codes are, what storage
//! weighs, and heads that remember different tokens.

use burn::tensor::Device;
use heads_and_tails::lab::seeded;
use heads_and_tails::mech::adam::parameters;
use heads_and_tails::mech::house_transformer::{Decoder, HouseTransformerConfig};
use heads_and_tails::mech::ops::Rotation;
use heads_and_tails::mech::quantizer::{
    Affine, Bytes, Fit, HeadRows, Kivi, Layer, Method, Orthogonal, PerToken, Quantized, Recipe, Rung, Trace, Transform,
    add_channel_sums, butterflies, distances, effective_bits, fuse_output, keys, outlier_pairs, pack, quantize, sinks,
    unpack, values, walsh_hadamard, words,
};
use heads_and_tails::seed::Stream;
use pollster::block_on;

const BASE: f64 = 10_000.0;
const KIVI: Method = Method::Kivi(Kivi { tokens: 32, channels: 16, window: 16 });

fn random(count: usize, name: &str) -> Vec<f32> {
    let mut stream = Stream::new(1, name);
    (0..count).map(|_| stream.normal(0.0, 1.0) as f32).collect()
}

fn assert_near(got: &[f32], want: &[f32], most: f32) {
    assert_eq!(got.len(), want.len());
    for (index, (got, want)) in got.iter().zip(want).enumerate() {
        assert!((got - want).abs() <= most, "number {index}: {got}, want {want}");
    }
}

fn squares(numbers: &[f32]) -> f32 {
    numbers.iter().map(|number| number * number).sum()
}

/// Each channel of the keys has a mean of its own, as those of a language model have.
fn layer_of(positions: &[Vec<usize>], d_head: usize) -> Layer {
    let head = |(head, positions): (usize, &Vec<usize>)| {
        let means: Vec<f32> = random(d_head, &format!("means {head}")).iter().map(|mean| 2.0 * mean).collect();
        let rows = |part: &str| -> Vec<f32> {
            let row = |position: &usize| random(d_head, &format!("{part} {head} {position}"));
            positions.iter().flat_map(row).collect()
        };
        let keys = rows("key").iter().zip(means.iter().cycle()).map(|(number, mean)| number + mean).collect();
        HeadRows { keys, values: rows("value"), positions: positions.clone() }
    };
    let heads: Vec<HeadRows> = positions.iter().enumerate().map(head).collect();
    let mut layer = Layer { d_head, rotary_base: BASE, heads, channel_sums: vec![], sinks: vec![0, 5] };
    let mut sums = vec![0.0; layer.width()];
    add_channel_sums(&mut sums, &keys(&layer, &Recipe { bits: 16, method: plain(layer.width()) }).raw);
    layer.channel_sums = sums;
    layer
}

/// Heads that all remember the same tokens.
fn layer(heads: usize, tokens: usize, d_head: usize) -> Layer {
    layer_of(&vec![(0..tokens).collect(); heads], d_head)
}

fn plain(width: usize) -> Method {
    Method::PerToken(PerToken::rotate_kv(1, width, 4).up_to(Rung::Plain, width))
}

/// Round to nearest, QuaRot, KIVI and every rung up to RotateKV, without clipping.
fn methods(layer: &Layer) -> Vec<Method> {
    let (width, d_head, heads) = (layer.width(), layer.d_head, layer.heads.len());
    let full = PerToken::rotate_kv(heads, d_head, 4);
    let by_head = PerToken { rotated_heads: Some(1), sorted: false, ..full };
    let baselines = [PerToken::round_to_nearest, PerToken::quarot].into_iter().flat_map(|of| [of(width), of(d_head)]);
    let rungs = Rung::ALL.map(|rung| full.up_to(rung, width));
    baselines.chain(rungs).chain([by_head]).map(Method::PerToken).chain([KIVI]).collect()
}

#[test]
fn rotations_are_orthogonal() {
    for size in [1, 2, 8, 64, 12, 24, 192] {
        let rotation = Orthogonal::of(size).unwrap();
        assert_eq!(rotation.size(), size);
        let mut matrix: Vec<f32> = (0..size * size).map(|at| f32::from(u8::from(at / size == at % size))).collect();
        rotation.apply(&mut matrix);
        let even = 1.0 / (size as f32).sqrt();
        assert!(matrix.iter().all(|number| (number.abs() - even).abs() < 1e-5), "{size}: every entry has one size");
        let row = random(size, "row");
        let mut turned = row.clone();
        rotation.apply(&mut turned);
        assert_near(&[squares(&turned).sqrt()], &[squares(&row).sqrt()], 1e-5);
        let times_matrix: Vec<f32> =
            (0..size).map(|to| (0..size).map(|from| row[from] * matrix[from * size + to]).sum()).collect();
        assert_near(&turned, &times_matrix, 1e-5);
        rotation.undo(&mut turned);
        assert_near(&turned, &row, 1e-5);
    }
    for size in [0, 3, 20, 36] {
        assert_eq!(Orthogonal::of(size), None);
    }
}

#[test]
fn the_steps_of_a_transform_are_the_transform() {
    let row = random(64, "row");
    let (mut at_once, mut by_steps) = (row.clone(), row.clone());
    walsh_hadamard(&mut at_once);
    assert_eq!(distances(64).collect::<Vec<_>>(), [1, 2, 4, 8, 16, 32]);
    distances(64).for_each(|distance| butterflies(&mut by_steps, distance));
    assert_near(&at_once, &by_steps.iter().map(|number| number / 8.0).collect::<Vec<_>>(), 1e-6);
    walsh_hadamard(&mut at_once);
    assert_near(&at_once, &row, 1e-5);
}

#[test]
fn nothing_is_lost_where_nothing_is_rounded() {
    for layer in [layer(4, 20, 16), layer(3, 20, 64), layer_of(&[vec![0, 3, 9], vec![7], vec![], vec![1, 5]], 16)] {
        for method in methods(&layer) {
            let recipe = Recipe { bits: 16, method };
            for trace in [keys(&layer, &recipe), values(&layer, &recipe)] {
                assert_near(&trace.restored, &trace.raw, 1e-5);
                assert!(trace.tiles.is_empty());
            }
            let quantized = quantize(&layer, &recipe);
            let rows: usize = layer.heads.iter().map(|head| head.positions.len()).sum();
            assert_eq!([quantized.bytes.full, quantized.bytes.positions], [4 * rows * layer.d_head, 4 * rows]);
            assert_eq!(quantized.bytes.total(), quantized.bytes.full + quantized.bytes.positions);
            for (got, head) in quantized.heads.iter().zip(&layer.heads) {
                let rotation = Rotation::new(head.positions.iter().copied(), layer.d_head, BASE);
                let mut want = head.keys.clone();
                rotation.turn(&mut want, 1);
                assert_near(&got.keys, &want, 1e-5);
                assert_near(&got.values, &head.values, 1e-5);
                assert_eq!(got.positions, head.positions);
                rotation.back().turn(&mut want, 1);
                assert_near(&want, &head.keys, 1e-5);
            }
        }
    }
}

/// # Shapes
///
/// - input `[rows, inputs]`, weight `[inputs, outputs]`
fn product(input: &[f32], weight: &[f32], outputs: usize) -> Vec<f32> {
    let inputs = weight.len() / outputs;
    let cell = |row: &[f32], output: usize| (0..inputs).map(|at| row[at] * weight[at * outputs + output]).sum();
    input.chunks(inputs).flat_map(|row| (0..outputs).map(move |output| cell(row, output))).collect()
}

#[test]
fn fused_weights_emit_what_is_rotated_and_sorted() {
    let (inputs, queries) = (10, 6);
    for (heads, d_head) in [(2, 8), (3, 16)] {
        let width = heads * d_head;
        let (input, bias) = (random(7 * inputs, "input"), random(width, "bias"));
        let weight = random(inputs * width, "weight");
        let biased = |rows: Vec<f32>, bias: &[f32]| -> Vec<f32> {
            rows.iter().zip(bias.iter().cycle()).map(|(number, bias)| number + bias).collect()
        };
        let order = Stream::new(4, "order").permutation(width);
        let transform = Transform::new(Orthogonal::of(width), order);
        let fused = biased(product(&input, &transform.forward(&weight), width), &transform.forward(&bias));
        let keys = biased(product(&input, &weight, width), &bias);
        assert_near(&fused, &transform.forward(&keys), 1e-4);
        assert_near(&transform.back(&fused), &keys, 1e-4);

        let (rotation, found) = (Orthogonal::of(d_head).unwrap(), random(7 * queries * d_head, "found"));
        let mut output = random(queries * d_head * inputs, "output");
        let want = product(&found, &output, inputs);
        fuse_output(&mut output, inputs, rotation);
        let rotated = Transform::new(Some(rotation), vec![]).rotate(&found);
        assert_near(&product(&rotated, &output, inputs), &want, 1e-4);
    }
}

#[test]
fn no_code_is_further_off_than_half_a_step() {
    for layer in [layer(4, 40, 16), layer(3, 10, 64), layer_of(&[vec![0, 3, 9], vec![7], vec![], vec![1, 5]], 16)] {
        for method in methods(&layer) {
            for bits in [2, 3, 4, 8] {
                let recipe = Recipe { bits, method };
                for Trace { width, sorted, stored, codes, tiles, .. } in
                    [keys(&layer, &recipe), values(&layer, &recipe)]
                {
                    for tile in tiles {
                        let levels: Vec<f32> = tile.levels.values().collect();
                        assert!(levels.len() == 1 << bits || levels.len() == 1, "{} levels", levels.len());
                        for row in tile.rows {
                            for cell in tile.columns.clone().map(|column| row * width + column) {
                                assert_eq!(stored[cell], levels[usize::from(codes[cell])]);
                                let off = (stored[cell] - sorted[cell]).abs();
                                let half = 0.5 * tile.levels.scale + 1e-5;
                                assert!(off <= half, "{off}, half a step is {half}, {recipe:?}");
                            }
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn more_bits_cost_more_and_err_less() {
    let layer = layer(4, 40, 16);
    for method in methods(&layer) {
        let measure = |bits: u32| {
            let recipe = Recipe { bits, method };
            (quantize(&layer, &recipe).bytes.total(), squares(&keys(&layer, &recipe).errors()))
        };
        let all = [2, 3, 4, 8, 16].map(measure);
        assert!(all.is_sorted_by(|less, more| less.0 < more.0 && less.1 > more.1), "{method:?}: {all:?}");
    }
}

#[test]
fn sorting_needs_groups_smaller_than_a_token() {
    let layer = layer(4, 30, 16);
    let error = |sorted: bool, group: usize, bits: u32| {
        let method = PerToken { sorted, ..PerToken::rotate_kv(4, group, 4) };
        keys(&layer, &Recipe { bits, method: Method::PerToken(method) }).errors()
    };
    for bits in [2, 3, 4] {
        assert_eq!(error(true, 64, bits), error(false, 64, bits));
        let [sorted, unsorted] = [true, false].map(|sorted| squares(&error(sorted, 16, bits)));
        assert!(sorted < 0.85 * unsorted, "{sorted} sorted, {unsorted} unsorted");
    }
}

#[test]
fn kivi_does_not_mind_the_size_of_a_channel() {
    let layer = layer(2, 50, 16);
    let scaled = |scale: f32| {
        let mut layer = layer.clone();
        for head in &mut layer.heads {
            for key in head.keys.chunks_exact_mut(16) {
                // Both numbers of a pair, which positions turn into each other.
                for channel in [3, 11] {
                    key[channel] *= scale;
                }
            }
        }
        keys(&layer, &Recipe { bits: 2, method: KIVI })
    };
    let (before, after) = (scaled(1.0), scaled(8.0));
    assert_eq!(before.codes, after.codes);
    for (column, (&before, &after)) in before.restored.iter().zip(&after.restored).enumerate() {
        assert_eq!(if [3, 11].contains(&(column % 16)) { 8.0 * before } else { before }, after);
    }
}

#[test]
fn kivi_leaves_recent_tokens_alone() {
    let layer = layer(2, 50, 16);
    let recipe = Recipe { bits: 2, method: KIVI };
    for (trace, coded) in [(keys(&layer, &recipe), 48), (values(&layer, &recipe), 34)] {
        assert_eq!(trace.restored[coded * 32..], trace.raw[coded * 32..]);
        assert!(trace.errors()[..coded * 32].chunks(32).all(|row| squares(row) > 0.0));
        assert_eq!(trace.bytes.full, 2 * 32 * (50 - coded));
    }
}

#[test]
fn constant_groups_are_exact() {
    for value in [0.0, 3.7, -2.0e-30, 1.0e30] {
        for fit in [Fit::Least, Fit::ZeroPoint { clip: 0.8, through_zero: false }] {
            let levels = fit.levels(&[value; 5], 2);
            assert_eq!((levels.code(value), levels.value(0)), (0, value));
            assert_eq!(levels.values().collect::<Vec<_>>(), [value]);
        }
    }
    // A range that is too small to be cut.
    let tiny = [f32::from_bits(1), 0.0];
    for fit in [Fit::Least, Fit::ZeroPoint { clip: 1.0, through_zero: false }] {
        assert_eq!(fit.levels(&tiny, 4), Affine::constant(0.0));
    }
}

#[test]
fn rows_without_a_range_stay_numbers() {
    for fill in [0.0, 1.5, -1.5] {
        let mut layer = layer(4, 20, 16);
        for head in &mut layer.heads {
            head.keys[32..96].fill(fill);
            head.values[32..96].fill(fill);
        }
        for method in methods(&layer) {
            for bits in [2, 3, 4, 8] {
                let heads = quantize(&layer, &Recipe { bits, method }).heads;
                let finite = |head: &HeadRows| head.keys.iter().chain(&head.values).all(|number| number.is_finite());
                assert!(heads.iter().all(finite), "{bits} bits, {method:?}");
            }
        }
        let recipe = Recipe { bits: 2, method: plain(64) };
        assert_eq!(keys(&layer, &recipe).restored[128..384], [fill; 256]);
    }
}

#[test]
fn storage_weighs_what_the_formula_says() {
    let (heads, tokens, d_head) = (4, 128, 16);
    let layer = layer(heads, tokens, d_head);
    let numbers = heads * tokens * d_head;
    let share = |part: usize| part as f64 / tokens as f64;
    for bits in [2, 3, 4, 8] {
        for method in methods(&layer) {
            let recipe = Recipe { bits, method };
            let (keys, values) = (keys(&layer, &recipe), values(&layer, &recipe));
            let (group, value_group, key_window, value_window, spared) = match method {
                Method::PerToken(method) => {
                    (method.group, d_head, 0, 0, if method.sinks { layer.sinks.len() } else { 0 })
                }
                Method::Kivi(method) => (method.tokens, method.channels, tokens % method.window, method.window, 0),
            };
            let wanted = [(&keys, group, key_window), (&values, value_group, value_window)];
            for (trace, group, window) in wanted {
                let want = effective_bits(bits, group, share(tokens - window), share(window + spared));
                assert_eq!(trace.bytes.bits_per_number(numbers), want, "{recipe:?}");
                let packed = pack(&trace.code_stream(), bits);
                assert_eq!(trace.bytes.payload, 4 * packed.len());
                assert_eq!(unpack(&packed, bits, trace.code_stream().len()), trace.code_stream());
            }
            let bytes = quantize(&layer, &recipe).bytes;
            assert_eq!(bytes.positions, 4 * heads * tokens);
            assert_eq!(bytes.total(), keys.bytes.total() + values.bytes.total() + bytes.positions);
        }
    }
}

#[test]
fn codes_are_packed_lowest_bits_first() {
    for bits in 1..=8 {
        for count in [0, 1, 10, 11, 32, 33] {
            let codes: Vec<u8> = (0..count).map(|at| (at * 37 % (1 << bits)) as u8).collect();
            let packed = pack(&codes, bits);
            assert_eq!(packed.len(), words(codes.len(), bits));
            assert_eq!(unpack(&packed, bits, codes.len()), codes);
        }
    }
    assert_eq!(pack(&[1, 2, 3], 2), [0b11_10_01]);
    assert_eq!(pack(&[7; 11], 3), [u32::MAX, 1]);
}

#[test]
fn attention_sinks_are_spared() {
    let layer = layer(4, 12, 16);
    let recipe = Recipe { bits: 2, method: Method::PerToken(PerToken::rotate_kv(4, 16, 2)) };
    for trace in [keys(&layer, &recipe), values(&layer, &recipe)] {
        let exact: Vec<usize> =
            (0..12).filter(|row| trace.errors()[row * 64..][..64].iter().all(|error| *error == 0.0)).collect();
        assert_eq!(exact, layer.sinks);
    }
    // The second token has two of the three largest numbers.
    assert_eq!(sinks(&[0.1, -1.0, 5.0, -6.0, 0.0, 2.0, 2.0, -2.0], 2, 3), [1, 2]);
    assert_eq!(sinks(&[1.0, 2.0], 2, 20), [0]);
}

#[test]
fn a_head_alone_does_not_feel_what_others_remember() {
    let ragged = layer_of(&[(0..40).collect(), vec![0, 2, 5, 8], vec![7], vec![]], 16);
    let half_heads = [PerToken::round_to_nearest(8), PerToken { sinks: true, ..PerToken::quarot(8) }];
    for method in half_heads.map(Method::PerToken).into_iter().chain([KIVI]) {
        let recipe = Recipe { bits: 4, method };
        let together = quantize(&ragged, &recipe);
        let alone =
            |head: usize| quantize(&Layer { heads: vec![ragged.heads[head].clone()], ..ragged.clone() }, &recipe);
        let alone: Vec<Quantized> = (0..4).map(alone).collect();
        assert!(alone.iter().map(|layer| &layer.heads[0]).eq(&together.heads), "{method:?}");
        assert_eq!(alone.iter().map(|layer| layer.bytes).sum::<Bytes>(), together.bytes);
    }
}

#[test]
fn heads_that_are_mixed_are_laid_side_by_side_by_rank() {
    let positions = [vec![0, 2, 5, 8], vec![1, 5, 6], vec![7], vec![]];
    let ragged = layer_of(&positions, 16);
    let full = PerToken::rotate_kv(4, 16, 2);
    let recipe = Recipe { bits: 2, method: Method::PerToken(full) };
    let trace = keys(&ragged, &recipe);
    assert_eq!(trace.raw.len(), 4 * 64);
    assert_eq!(trace.raw[64..96], [&ragged.heads[0].keys[16..32], &ragged.heads[1].keys[16..32]].concat());
    assert!(trace.raw[224..].iter().all(|number| *number == 0.0));
    // What is missing is stored as well, and only tokens that are there can be spared.
    assert_eq!(trace.bytes.payload, 4 * words(4 * 64, 2));
    assert_eq!(trace.bytes.full, 2 * 3 * 16);
    let heads = quantize(&ragged, &recipe).heads;
    for (head, (got, positions)) in heads.iter().zip(&positions).enumerate() {
        assert_eq!(&got.positions, positions);
        let rotation = Rotation::new(positions.iter().copied(), 16, BASE);
        let mut want = ragged.heads[head].keys.clone();
        rotation.turn(&mut want, 1);
        for (row, position) in positions.iter().enumerate() {
            let [got, want] = [&got.keys, &want].map(|keys| &keys[row * 16..][..16]);
            assert_eq!(got == want, ragged.sinks.contains(position), "head {head}, position {position}");
        }
    }
}

#[test]
fn a_token_is_stored_alike_in_any_company() {
    let (all, kept) = (layer(4, 30, 16), vec![0, 4, 5, 17, 29]);
    let some = Layer { channel_sums: all.channel_sums.clone(), ..layer_of(&vec![kept.clone(); 4], 16) };
    for method in methods(&all) {
        // KIVI's groups depend on how many tokens there are.
        if let Method::PerToken(_) = method {
            let [all, some] = [&all, &some].map(|layer| quantize(layer, &Recipe { bits: 3, method }).heads);
            for (all, some) in all.iter().zip(&some) {
                let rows: Vec<f32> = kept.iter().flat_map(|&row| all.keys[row * 16..][..16].to_vec()).collect();
                assert_eq!(some.keys, rows, "{method:?}");
            }
        }
    }
}

#[test]
fn each_rung_adds_one_part() {
    let full = PerToken::rotate_kv(4, 16, 2);
    let rungs = Rung::ALL.map(|rung| full.up_to(rung, 64));
    let plain = PerToken { rotated_heads: None, sorted: false, group: 64, clip: 1.0, sinks: false, ..full };
    let rotated = PerToken { rotated_heads: Some(4), ..plain };
    let small = PerToken { group: 16, ..rotated };
    let sorted = PerToken { sorted: true, ..small };
    assert_eq!(rungs, [plain, rotated, small, sorted, PerToken { clip: 0.8, ..sorted }, full]);
    assert_eq!(PerToken::rotate_kv(4, 16, 3).clip, 1.0);
}

#[test]
fn outliers_on_purpose_change_no_answer() {
    let config = HouseTransformerConfig::new(20).with_layers(2).with_heads(4).with_key_heads(2).with_d_head(8);
    let net = seeded(3, &Device::flex(), |device| config.init(device));
    let plain = block_on(parameters(&net)).expect("the CPU does not fail");
    let answers = |severity: f32| {
        let mut decoder = Decoder::new(config.clone(), plain.clone());
        let pairs = |layer| outlier_pairs(7, layer, config.key_heads, config.d_head);
        decoder.exaggerate(&(0..config.layers).map(pairs).collect::<Vec<_>>(), severity);
        let logits: Vec<f32> = (0..30).flat_map(|at| decoder.read(at * at % 20)).collect();
        let largest = decoder.caches[0][0].keys.iter().fold(0.0_f32, |most, key| most.max(key.abs()));
        (logits, largest)
    };
    let (want, before) = answers(1.0);
    for severity in [1.0, 4.0, 12.0] {
        let (got, largest) = answers(severity);
        assert_near(&got, &want, 1e-3);
        assert!(largest >= before && (severity == 1.0 || largest > 2.0 * before), "{largest} after {before}");
    }
}
