//! What must hold of the Fourier head for any parameters.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use heads_and_tails::drive::find;
use heads_and_tails::lab::columns::read_columns;
use heads_and_tails::lab::{Body, Frame, Readouts, Status, Values, read, seeded, tensor};
use heads_and_tails::labs::RUNNERS;
use heads_and_tails::mech::fourier_head::{
    FourierBasis, FourierDensity, FourierHead, FourierHeadConfig, FourierSeries, FourierStart,
};
use heads_and_tails::mech::ops;
use heads_and_tails::seed::Stream;
use pollster::block_on;

use crate::site::host;

const EPSILON: f64 = 1e-5;

fn plain<const D: usize>(values: Tensor<D>) -> Vec<f64> {
    pollster::block_on(read(values)).unwrap().into_iter().map(f64::from).collect()
}

fn normal(count: usize, seed: u64) -> Vec<f32> {
    let mut stream = Stream::new(seed, "init");
    (0..count).map(|_| stream.normal(0.0, 1.0) as f32).collect()
}

/// The probabilities behind logits, without the epsilon in them.
fn pmf(basis: &FourierBasis, amplitudes: &[f32]) -> Vec<f64> {
    let logits = basis.logits(tensor(amplitudes.to_vec(), [1, amplitudes.len()], &Device::flex()));
    plain(logits).into_iter().map(|logit| logit.exp() - EPSILON).collect()
}

fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

#[test]
fn the_density_is_a_distribution_for_any_parameters() {
    for (bins, frequencies) in [(2, 2), (8, 1), (18, 18), (50, 8), (50, 49), (50, 50), (17, 8), (128, 63)] {
        let basis = FourierBasis::new(bins, frequencies, EPSILON, &Device::flex());
        for seed in 0..5 {
            let amplitudes = normal(2 * (frequencies + 1), seed);
            let head = pmf(&basis, &amplitudes);
            assert!(head.iter().all(|probability| *probability >= -1e-9), "{bins} bins, {frequencies} frequencies");
            assert!((head.iter().sum::<f64>() - 1.0).abs() < 1e-6, "{bins} bins, {frequencies} frequencies");
            let series = FourierSeries::from_row(&amplitudes).pmf(bins);
            assert!(series.iter().all(|probability| *probability >= 0.0));
            for (head, series) in head.iter().zip(series) {
                assert!((head - series).abs() < 1e-6, "{head} in tensors, {series} in plain numbers");
            }
        }
    }
}

#[test]
fn scale_and_phase_of_the_amplitudes_change_nothing() {
    for (bins, frequencies, size) in [(50, 8, 1.0), (50, 20, 0.01), (16, 4, 0.002), (18, 18, 1.0)] {
        let basis = FourierBasis::new(bins, frequencies, EPSILON, &Device::flex());
        let waves = frequencies + 1;
        let amplitudes: Vec<f32> = normal(2 * waves, 7).into_iter().map(|number| number * size).collect();
        let before = pmf(&basis, &amplitudes);
        for (scale, phase) in [(1e-3, 0.0), (1e3, 0.0), (1.0, 1.0), (1.0, -2.5), (0.03, 3.1)] {
            let (cos, sin) = (f32::cos(phase) * scale, f32::sin(phase) * scale);
            let (re, im) = amplitudes.split_at(waves);
            let turned: Vec<f32> = (re.iter().zip(im).map(|(re, im)| re * cos - im * sin))
                .chain(re.iter().zip(im).map(|(re, im)| re * sin + im * cos))
                .collect();
            for (before, after) in before.iter().zip(pmf(&basis, &turned)) {
                assert!((before - after).abs() < 1e-5, "scaled by {scale}, turned by {phase}: {before} to {after}");
            }
        }
    }
}

#[test]
fn amplitudes_that_are_all_zero_give_the_uniform_distribution() {
    let device = Device::flex().autodiff();
    let density = FourierDensity::new(16, EPSILON, &[vec![0.0; 10]], &device);
    let logits = density.forward();
    let gradient = density.amplitudes.val().grad(&logits.clone().sum().backward()).unwrap();
    assert!(plain(gradient).iter().all(|number| number.is_finite()));
    let logits = plain(logits);
    assert!(logits.iter().all(|logit| (logit - logits[0]).abs() < 1e-6));
    assert_eq!(FourierSeries::from_row(&[0.0; 10]).pmf(16), vec![1.0 / 16.0; 16]);
}

/// Growing or turning all amplitudes leaves the distribution alone, so the cross-entropy has no slope that way.
#[test]
fn the_gradient_has_two_null_directions() {
    let device = Device::flex().autodiff();
    for (bins, frequencies) in [(50, 8), (50, 20), (18, 18), (128, 12)] {
        let waves = frequencies + 1;
        let amplitudes = normal(2 * waves, 3);
        let density = FourierDensity::new(bins, EPSILON, std::slice::from_ref(&amplitudes), &device);
        let target: Vec<f32> = (0..bins).map(|bin| if bin < 2 { 0.5 } else { 0.0 }).collect();
        let loss = ops::softmax_cross_entropy(density.forward(), tensor(target, [1, bins], &device));
        let gradient = plain(density.amplitudes.val().grad(&loss.backward()).unwrap());
        let length = dot(&gradient, &gradient).sqrt();
        assert!(length > 1e-3, "a gradient of {length} shows nothing");
        let grown: Vec<f64> = amplitudes.iter().map(|&number| f64::from(number)).collect();
        let (re, im) = grown.split_at(waves);
        let turned: Vec<f64> = im.iter().map(|im| -im).chain(re.iter().copied()).collect();
        assert!(dot(&gradient, &grown).abs() < 1e-4 * length, "{bins} bins, {frequencies}: the scale matters");
        assert!(dot(&gradient, &turned).abs() < 1e-4 * length, "{bins} bins, {frequencies}: the phase matters");
    }
}

#[test]
fn both_penalties_equal_their_sums_over_coefficients() {
    let device = Device::flex();
    for (bins, frequencies) in [(50, 8), (50, 24), (50, 25), (18, 18), (128, 63), (4, 1)] {
        let columns = 2 * (frequencies + 1);
        let rows = normal(3 * columns, 11);
        let basis = FourierBasis::new(bins, frequencies, EPSILON, &device);
        let amplitudes = tensor(rows.clone(), [3, columns], &device);
        let series: Vec<FourierSeries> = rows.chunks(columns).map(FourierSeries::from_row).collect();
        let by_hand = |of: fn(&FourierSeries) -> f64| series.iter().map(of).sum::<f64>() / 3.0;
        for (penalty, by_hand) in [
            (basis.penalty(amplitudes.clone()), by_hand(FourierSeries::penalty)),
            (basis.normalized_penalty(amplitudes), by_hand(FourierSeries::normalized_penalty)),
        ] {
            let penalty = plain(penalty)[0];
            assert!((penalty - by_hand).abs() < 1e-5 * by_hand, "{penalty} by quadrature, {by_hand} by coefficients");
        }
    }
}

#[test]
fn the_cumulative_distribution_is_the_integral_of_the_density() {
    let series = FourierSeries::from_row(&normal(26, 5));
    let steps = 4000;
    let mut sum = 0.0;
    for step in 0..steps {
        let (left, width) = (-1.0 + 2.0 * f64::from(step) / f64::from(steps), 2.0 / f64::from(steps));
        assert!((series.cdf(left) - sum).abs() < 1e-6);
        sum += width * series.density(left + width / 2.0);
    }
    for probability in [0.001, 0.3, 0.999] {
        assert!((series.cdf(series.inverse_cdf(probability)) - probability).abs() < 1e-6);
    }
}

#[test]
fn a_new_head_starts_as_configured_on_any_device() {
    let config = FourierHeadConfig::new(32, 50, 8);
    let build = |start, device: &Device| -> FourierHead {
        seeded(1, device, |device| config.clone().with_start(start).init(device))
    };
    let input = |device: &Device| tensor(normal(4 * 32, 2), [4, 32], device);
    let (cpu, training) = (Device::flex(), Device::flex().autodiff());

    let paper = build(FourierStart::Paper, &cpu);
    assert_eq!(paper.num_params(), 33 * 18);
    let largest = plain(paper.amplitudes.weight.val()).into_iter().fold(0.0_f64, |largest, w| largest.max(w.abs()));
    let bound = 0.01 / 32.0_f64.sqrt();
    assert!(largest <= bound && largest > 0.9 * bound, "weights up to {largest}, not {bound}");
    assert_eq!(
        plain(paper.forward(input(&cpu))),
        plain(build(FourierStart::Paper, &training).forward(input(&training))),
        "the tape changes no number"
    );

    for logit in plain(ops::softmax(build(FourierStart::Uniform, &cpu).forward(input(&cpu)))) {
        assert!((logit * 50.0 - 1.0).abs() < 0.15, "{logit} is far from one in 50");
    }
}

const WIND: &str = "data=wind&predicted=wind_degrees&given=wind_before_degrees";

/// “Your numbers” with this setting, run to its end.
fn own(query: &str) -> (Frame, Readouts) {
    let runner = find(RUNNERS, "fourier-head-own").unwrap();
    let (values, problems) = Values::from_query(runner.specs, query);
    assert!(problems.is_empty(), "{query}: {problems:?}");
    let host = host();
    let mut lab = block_on((runner.start)(&values, &host)).unwrap();
    while block_on(lab.step(&host)).unwrap() == Status::Running {}
    block_on(lab.settle()).unwrap();
    let frame = lab.frame();
    let readouts = frame.readouts();
    (frame, readouts)
}

#[test]
fn the_wind_is_310_directions_most_with_the_one_before() {
    let columns = read_columns(&block_on(host().asset("data/wind.csv")).unwrap()).unwrap();
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["wind_before_degrees", "wind_degrees"]);
    let [before, now] = [&columns[0].values, &columns[1].values];
    assert_eq!((before.len(), now.len()), (310, 310));
    let (low, high) = now.iter().fold((f64::MAX, f64::MIN), |(low, high), &at| (low.min(at), high.max(at)));
    assert_eq!((low, high), (0.125, 359.8));
    for (row, &before) in before.iter().enumerate() {
        // Five directions a night; the first of them follows none.
        match row % 5 {
            0 => assert!(before.is_nan(), "row {row}"),
            _ => assert_eq!(before, now[row - 1], "row {row}"),
        }
    }
}

#[test]
fn an_example_brings_its_columns_and_its_period() {
    for (query, said, ends) in [
        ("", "272 rows", ["45", "90"]),
        (WIND, "248 rows", ["0", "360"]),
        // The names of the other example's columns say nothing here, and its period is gone.
        ("data=wind", "248 rows", ["0", "360"]),
        ("data=wind&given=", "310 rows", ["0", "360"]),
        ("predicted=wind_degrees&given=wind_before_degrees", "272 rows", ["45", "90"]),
        ("data=wind&period=never&given=", "310 rows", ["0", "300"]),
        ("period=24", "272 rows", ["0", "24"]),
    ] {
        let (frame, readouts) = own(&format!("{query}&steps=100"));
        assert!(readouts.values().all(|value| value.is_finite()), "{query}: {readouts:?}");
        let panel = |id: &str| frame.panels.iter().find(|panel| panel.id == id).unwrap();
        assert!(panel("readouts").spoken().contains(said), "{query}: {}", panel("readouts").spoken());
        let Body::Chart(chart) = &panel("density").body else { panic!("the densities are a chart") };
        let ticks: Vec<&str> = chart.x.ticks.iter().map(|(_, tick)| tick.as_str()).collect();
        assert_eq!([ticks[0], ticks[ticks.len() - 1]], ends, "{query}");
    }
}

/// A log-likelihood counts the column's own unit, so a ring and a gap between the ends can be held against each other.
#[test]
fn a_closed_ring_pays_the_fourier_head() {
    let likelihood = |readouts: &Readouts, head: &str| readouts[&format!("log_likelihood_{head}")];
    for seed in [1, 2, 3] {
        for given in ["wind_before_degrees", ""] {
            let [ring, cut] =
                ["known", "never"].map(|period| own(&format!("{WIND}&given={given}&period={period}&seed={seed}")).1);
            let gain = likelihood(&ring, "fourier") - likelihood(&cut, "fourier");
            let lead = likelihood(&ring, "fourier") - likelihood(&ring, "linear");
            assert!((0.05..0.4).contains(&gain), "seed {seed}, given “{given}”: the ring gains {gain}");
            assert!(lead > 0.03, "seed {seed}, given “{given}”: {lead} before the linear head");
            // Knowing nothing is 1 in 360 for each degree.
            assert!(likelihood(&ring, "fourier") > -(360.0_f64).ln());
        }
    }
}
