//! Trained parameters as files: they come back, and what is wrong with one is said.

use burn::module::Module;
use burn::tensor::Device;
use heads_and_tails::lab::seeded;
use heads_and_tails::mech::adam::{load_parameters, parameters};
use heads_and_tails::mech::checkpoint::{About, CheckpointError, read, write};
use heads_and_tails::mech::house_transformer::{HouseTransformer, HouseTransformerConfig};
use pollster::block_on;

fn config() -> HouseTransformerConfig {
    HouseTransformerConfig::new(11).with_width(8).with_d_hidden(12).with_d_head(4)
}

fn net(config: &HouseTransformerConfig, seed: u64) -> HouseTransformer {
    seeded(seed, &Device::flex(), |device| config.init(device))
}

fn numbers(net: &HouseTransformer) -> Vec<Vec<f32>> {
    block_on(parameters(net)).expect("the CPU is not lost")
}

fn file(net: &HouseTransformer) -> Vec<u8> {
    let about: About =
        [("seed", "3"), ("a word", "with “quotes”")].map(|(key, text)| (key.to_owned(), text.to_owned())).into();
    block_on(write(net, &about)).expect("the CPU is not lost")
}

fn refusal(bytes: &[u8]) -> CheckpointError {
    read(bytes, net(&config(), 1)).expect_err("it is not what was written")
}

/// The file with one stretch of its header exchanged for another of the same length.
fn altered(from: &str, to: &str) -> Vec<u8> {
    let mut bytes = file(&net(&config(), 3));
    let at = bytes.windows(from.len()).position(|window| window == from.as_bytes()).expect("the header holds it");
    bytes[at..at + from.len()].copy_from_slice(to.as_bytes());
    bytes
}

#[test]
fn what_is_written_is_read_back() {
    let written = net(&config(), 3);
    let bytes = file(&written);
    assert_eq!(bytes, file(&written), "one module makes one file");
    let (back, about) = read(&bytes, net(&config(), 1)).expect("it was just written");
    assert_eq!(about["seed"], "3");
    assert_eq!(about["a word"], "with “quotes”");
    for (was, is) in numbers(&written).iter().zip(numbers(&back)) {
        for (was, is) in was.iter().zip(is) {
            assert!((was - is).abs() <= was.abs() / 2048.0 + 1e-7, "{was} came back as {is}");
        }
    }
    // Halves are exact the second time.
    assert_eq!(numbers(&read(&file(&back), net(&config(), 1)).expect("it was just written").0), numbers(&back));
}

#[test]
fn what_is_wrong_with_a_file_is_said() {
    let bytes = file(&net(&config(), 3));
    let said = |bytes: &[u8]| refusal(bytes).to_string();
    for short in [b"", &bytes[..7], b"<!doctype html><title>404</title>"] {
        assert_eq!(said(short), "This is not a safetensors file.");
    }
    for cut in [100, bytes.len() - 1] {
        assert!(said(&bytes[..cut]).starts_with("This file is cut off: "), "{}", said(&bytes[..cut]));
    }
    let other = |config: HouseTransformerConfig| said(&file(&net(&config, 3)));
    assert_eq!(
        other(config().with_d_hidden(16)),
        "“blocks.0.up.weight” has the shape [8, 16] in the file; the model's is [8, 12]."
    );
    assert_eq!(other(config().with_layers(1)), "The file lacks “blocks.1.attention_norm”, which the model has.");
    assert!(
        other(config().with_layers(3)).starts_with("The file holds “blocks.2."),
        "{}",
        other(config().with_layers(3))
    );
    assert_eq!(
        said(&altered("\"blocks.0.smear\":{\"dtype\":\"F16\"", "\"blocks.0.smear\":{\"dtype\":\"I16\"")),
        "“blocks.0.smear” is of type I16; F16, BF16 and F32 can be read."
    );
    let mut broken = numbers(&net(&config(), 3));
    broken[1][2] = f32::NAN;
    let broken = load_parameters(net(&config(), 3), &broken);
    assert_eq!(said(&file(&broken)), "“blocks.0.attention_norm” holds a number that is not finite.");
}

#[test]
fn the_house_transformer_is_small() {
    let net = net(&HouseTransformerConfig::new(97), 0);
    let bytes = file(&net).len();
    assert!((2 * net.num_params()..300_000).contains(&bytes), "{bytes}");
}
