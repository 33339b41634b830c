//! The house transformer: its size, what its tokens can see, and that reading token by token is the same as all at once.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor, TensorData};
use heads_and_tails::lab::seeded;
use heads_and_tails::mech::adam::{Adam, AdamConfig, parameters};
use heads_and_tails::mech::house_transformer::{Decoder, HouseTransformer, HouseTransformerConfig};
use heads_and_tails::mech::ops::{self, Rotation};
use pollster::block_on;

fn tokens(numbers: &[i32], device: &Device) -> Tensor<2, Int> {
    Tensor::from_data(TensorData::new(numbers.to_vec(), [1, numbers.len()]), device)
}

fn read<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    block_on(tensor.into_data_async()).expect("the CPU does not fail").try_to_vec().expect("the kernels compute in f32")
}

fn some_text(length: usize, vocabulary: usize) -> Vec<i32> {
    (0..length).map(|i| (i * i + 3 * i) as i32 % vocabulary as i32).collect()
}

/// A shape that shares nothing with the default one: three layers, and heads of keys that serve two heads of queries each.
pub fn odd() -> HouseTransformerConfig {
    HouseTransformerConfig::new(11)
        .with_width(10)
        .with_layers(3)
        .with_heads(4)
        .with_key_heads(2)
        .with_d_head(6)
        .with_d_hidden(13)
}

fn make(config: &HouseTransformerConfig, device: &Device) -> HouseTransformer {
    seeded(3, device, |device| config.init(device))
}

/// A decoder of random weights.
pub fn decoder(config: &HouseTransformerConfig) -> Decoder {
    let net = make(config, &Device::flex());
    Decoder::new(config.clone(), block_on(parameters(&net)).expect("the CPU does not fail"))
}

pub fn close(what: &str, got: &[f32], want: &[f32]) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (index, (got, want)) in got.iter().zip(want).enumerate() {
        assert!((got - want).abs() < 1e-4, "{what}, number {index}: {got}, {want}");
    }
}

#[test]
fn it_has_as_many_parameters_as_its_card_says() {
    assert_eq!(make(&HouseTransformerConfig::new(97), &Device::flex()).num_params(), 111_552);
}

#[test]
fn reading_token_by_token_is_reading_at_once() {
    let device = Device::flex();
    for config in [HouseTransformerConfig::new(97), odd()] {
        let net = make(&config, &device);
        let text = some_text(40, config.vocabulary);
        let want = read(net.forward(tokens(&text, &device)));
        let mut decoder = decoder(&config);
        for _ in 0..2 {
            for (token, want) in text.iter().zip(want.chunks(config.vocabulary)) {
                close("logits", &decoder.read(*token as usize), want);
            }
            assert_eq!(decoder.position(), 40);
            let cached = decoder.caches.iter().flatten().map(|cache| cache.keys.len() / config.d_head);
            assert_eq!(cached.collect::<Vec<_>>(), vec![40; config.layers * config.key_heads]);
            decoder.clear();
        }
    }
}

/// Everything that a prompt read at once is said to hold, against the tokens read one by one.
#[test]
fn a_prompt_read_at_once_is_a_prompt_read() {
    for config in [HouseTransformerConfig::new(97), odd()] {
        let HouseTransformerConfig { vocabulary, heads, key_heads, d_head, rotary_base, .. } = config;
        let (mut slow, mut fast) = (decoder(&config), decoder(&config));
        for length in [1, 2, 37] {
            let text: Vec<usize> = some_text(length, vocabulary).into_iter().map(|token| token as usize).collect();
            slow.clear();
            let reading = fast.prefill(&text);
            for (token, logits) in text.iter().zip(reading.logits.chunks(vocabulary)) {
                let (before, mut seen) = (slow.position(), 0);
                let wanted = slow.read_observed(*token, |layer, head, weights| {
                    let row = (head * length + before) * length;
                    let row = &reading.layers[layer].attention[row..row + length];
                    close("attention", &row[..=before], weights);
                    assert!(row[before + 1..].iter().all(|weight| *weight == 0.0));
                    seen += 1;
                });
                assert_eq!(seen, config.layers * heads);
                close("logits", logits, &wanted);
            }
            // What comes into the first layer is the tokens alone.
            let hidden = |at: usize| &reading.layers[0].hidden[at * config.width..][..config.width];
            for (at, token) in text.iter().enumerate() {
                let first = text.iter().position(|other| other == token).expect("it stands there");
                assert_eq!(hidden(at), hidden(first));
            }
            assert!(length == 1 || hidden(0) != hidden(1));
            for (layer, caches) in reading.layers.iter().zip(&slow.caches) {
                assert_eq!(layer.hidden.len(), length * config.width);
                for (head, cache) in caches.iter().enumerate() {
                    let own = head * length * d_head..(head + 1) * length * d_head;
                    close("keys", &layer.keys[own.clone()], &cache.keys);
                    close("values", &layer.values[own.clone()], &cache.values);
                    let mut turned = layer.plain_keys[own.clone()].to_vec();
                    Rotation::new(0..length, d_head, rotary_base).turn(&mut turned, 1);
                    close("turned keys", &turned, &layer.keys[own]);
                }
                // What attention was made of: the last query of the last head looks at the last head of keys.
                let query = &layer.queries[(heads * length - 1) * d_head..];
                let keys = &layer.keys[(key_heads - 1) * length * d_head..];
                let (mut weights, mut output) = (vec![0.0; length], vec![0.0; d_head]);
                let scale = 1.0 / (d_head as f32).sqrt();
                kernels::attend(query, [keys, keys, &[]], scale, &mut weights, &mut output);
                close("queries", &weights, &layer.attention[(heads * length - 1) * length..]);
            }
            // Both go on alike, and so does who goes back by a token.
            let next = (text[0] + 1) % vocabulary;
            let wanted = slow.read(next);
            close("after a prompt", &fast.read(next), &wanted);
            let mut caches = reading.caches();
            caches.iter_mut().flatten().for_each(|cache| {
                cache.keys.truncate((length - 1) * d_head);
                cache.values.truncate((length - 1) * d_head);
            });
            fast.resume(&reading, length - 1, caches);
            assert_eq!(fast.position(), length - 1);
            close("the last token again", &fast.read(text[length - 1]), &reading.logits[(length - 1) * vocabulary..]);
            close("and the next", &fast.read(next), &wanted);
        }
    }
}

#[test]
fn a_token_sees_nothing_after_it() {
    let device = Device::flex();
    let net = make(&odd(), &device);
    let text = some_text(12, 11);
    let mut other = text.clone();
    other[7] = (other[7] + 1) % 11;
    let [a, b] = [text, other].map(|text| read(net.forward(tokens(&text, &device))));
    assert_eq!(a[..7 * 11], b[..7 * 11]);
    assert_ne!(a[7 * 11..8 * 11], b[7 * 11..8 * 11]);
}

#[test]
fn every_parameter_is_trained() {
    let device = Device::flex().autodiff();
    let mut net = make(&odd(), &device);
    let text = some_text(17, 11);
    let loss = |net: &HouseTransformer| {
        let next = Tensor::<1, Int>::from_data(&text[1..], &device);
        ops::cross_entropy_with_indices(net.forward(tokens(&text[..16], &device)), next)
    };
    let mut adam = Adam::new(AdamConfig { clip: Some(1.0), ..AdamConfig::default() });
    let before = block_on(parameters(&net)).expect("the CPU does not fail");
    let first = read(loss(&net))[0];
    for _ in 0..60 {
        let gradients = GradientsParams::from_grads(loss(&net).backward(), &net);
        net = adam.step(0.01, net, gradients);
    }
    let after = block_on(parameters(&net)).expect("the CPU does not fail");
    assert!(before.iter().zip(&after).all(|(before, after)| before != after));
    let last = read(loss(&net))[0];
    assert!(last < 0.3 * first, "the loss went from {first} to {last}");
}
