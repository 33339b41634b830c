//! Random numbers: streams with known numbers and moments, and models whose weights depend on the seed alone.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::prelude::*;
use heads_and_tails::lab::{read, seeded, tensor};
use heads_and_tails::seed::Stream;

fn numbers(model: &Linear) -> Vec<f32> {
    let bias = model.bias.clone().expect("a layer has a bias by default").val().inner();
    let weight = pollster::block_on(read(model.weight.val().inner())).expect("the CPU is not lost");
    weight.into_iter().chain(pollster::block_on(read(bias)).expect("the CPU is not lost")).collect()
}

fn layer(seed: u64, device: &Device) -> Linear {
    seeded(seed, device, |device| LinearConfig::new(7, 3).init(device))
}

#[test]
fn streams_are_apart_and_repeat() {
    let drawn = |mut stream: Stream| -> Vec<f64> { (0..8).map(|_| stream.unit()).collect() };
    let first = drawn(Stream::new(1, "data"));
    assert_eq!(first, drawn(Stream::at(1, "data", 0)));
    for other in [Stream::new(2, "data"), Stream::new(1, "init"), Stream::at(1, "data", 1)] {
        assert_ne!(first, drawn(other));
    }
}

/// What old links show depends on these numbers.
#[test]
fn streams_keep_their_numbers() {
    let mut stream = Stream::new(1, "data");
    let drawn: Vec<String> = (0..4).map(|_| format!("{:.15}", stream.unit())).collect();
    insta::assert_debug_snapshot!("stream", (drawn, stream.permutation(8), stream.below(1000)));
}

#[test]
fn draws_have_their_moments() {
    const COUNT: usize = 20_000;
    let mut stream = Stream::new(5, "moments");
    let mut check = |name: &str, mean: f64, variance: f64, draw: &mut dyn FnMut(&mut Stream) -> f64| {
        let drawn: Vec<f64> = (0..COUNT).map(|_| draw(&mut stream)).collect();
        let found = drawn.iter().sum::<f64>() / COUNT as f64;
        let spread = drawn.iter().map(|value| (value - found) * (value - found)).sum::<f64>() / COUNT as f64;
        let error = 5.0 * (variance / COUNT as f64).sqrt();
        assert!((found - mean).abs() < error, "{name}: mean {found}, not {mean}");
        assert!((spread / variance - 1.0).abs() < 0.1, "{name}: variance {spread}, not {variance}");
    };
    check("uniform", 1.0, 16.0 / 12.0, &mut |stream| stream.uniform(-1.0, 3.0));
    check("normal", 2.0, 9.0, &mut |stream| stream.normal(2.0, 3.0));
    check("gamma", 2.5, 2.5, &mut |stream| stream.gamma(2.5));
    check("gamma below one", 0.5, 0.5, &mut |stream| stream.gamma(0.5));
    check("beta", 0.25, 0.1875 / 5.0, &mut |stream| stream.beta(1.0, 3.0));
    check("below", 4.5, 99.0 / 12.0, &mut |stream| stream.below(10) as f64);
    check("weighted", 1.5, 0.75, &mut |stream| stream.weighted(&[1.0, 0.0, 3.0]) as f64 + f64::EPSILON);
}

#[test]
fn draws_stay_in_their_ranges() {
    let mut stream = Stream::new(6, "ranges");
    for _ in 0..2000 {
        assert!((0.0..1.0).contains(&stream.unit()));
        assert!((0.0..=1.0).contains(&stream.beta(1e-3, 1e-3)));
        assert!(stream.gamma(0.01) >= 0.0);
        assert_eq!(stream.below(1), 0);
        assert_eq!(stream.weighted(&[0.0, 2.0, 0.0]), 1);
    }
    let mut order = stream.permutation(100);
    assert_ne!(order, (0..100).collect::<Vec<_>>());
    order.sort_unstable();
    assert_eq!(order, (0..100).collect::<Vec<_>>());
}

#[test]
fn weights_depend_on_the_seed_alone() {
    let (plain, training) = (Device::flex(), Device::flex().autodiff());
    let first = numbers(&layer(3, &plain));
    let _others = layer(8, &training);
    assert_eq!(first, numbers(&layer(3, &training)), "the same on a device that trains");
    assert_ne!(first, numbers(&layer(4, &plain)));
    let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(|| numbers(&layer(3, &Device::flex())))).collect();
    for thread in threads {
        assert_eq!(first, thread.join().expect("drawing weights does not fail"), "the same on every thread");
    }
}

/// Burn leaves a weight undrawn until it is used, and one generator serves the whole process.
#[test]
fn weights_are_drawn_before_anything_else_is() {
    let device = Device::flex().autodiff();
    let alone = numbers(&layer(3, &device));
    let waiting = layer(3, &device);
    assert!(waiting.weight.is_initialized(), "nothing is left to be drawn later, or on another device");
    let _between = numbers(&layer(8, &device));
    assert_eq!(alone, numbers(&waiting));
}

#[test]
fn seeded_weights_can_be_trained() {
    let device = Device::flex().autodiff();
    let model = layer(3, &device);
    let loss = model.forward(tensor(vec![1.0; 7], [1, 7], &device)).sum();
    let gradients = loss.backward();
    let gradient = model.weight.val().grad(&gradients).expect("the weights are on the tape");
    assert_eq!(pollster::block_on(read(gradient)).expect("the CPU is not lost"), vec![1.0; 21]);
    assert_eq!(model.num_params(), 24);
}
