//! Each kernel against the same arithmetic in f64, at shapes that fit no tile.

use kernels::{Activation, AdamStep, AttentionShape, Matrix, Norm};

/// Numbers in [-1, 1) that look random and are not.
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    };
    (0..count).map(next).collect()
}

fn transpose(numbers: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..rows * columns).map(|i| numbers[(i % rows) * columns + i / rows]).collect()
}

fn close(got: &[f32], want: &[f64], tolerance: f64) {
    assert_eq!(got.len(), want.len());
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        let error = (f64::from(*got) - want).abs();
        assert!(error <= tolerance * want.abs().max(1.0), "number {i}: got {got}, want {want}");
    }
}

fn naive(a: &[f32], b: &[f32], [m, k, n]: [usize; 3]) -> Vec<f64> {
    let cell = |i: usize| (0..k).map(|p| f64::from(a[i / n * k + p]) * f64::from(b[p * n + i % n])).sum();
    (0..m * n).map(cell).collect()
}

#[test]
fn products_of_every_shape_and_orientation() {
    for [m, k, n] in
        [[1, 1, 1], [4, 8, 8], [5, 7, 9], [13, 17, 3], [3, 300, 11], [2, 256, 8], [31, 513, 23], [64, 1, 64]]
    {
        let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
        let want = naive(&a, &b, [m, k, n]);
        let (a_turned, b_turned) = (transpose(&a, m, k), transpose(&b, k, n));
        let (a, a_turned) = (Matrix::new(&a, m, k), Matrix::new(&a_turned, k, m).transposed());
        let (b, b_turned) = (Matrix::new(&b, k, n), Matrix::new(&b_turned, n, k).transposed());
        let plain = kernels::product(a, b);
        close(&plain, &want, 2e-5);
        assert_eq!(plain, kernels::product(a_turned, b));
        assert_eq!(plain, kernels::product(a, b_turned));
        assert_eq!(plain, kernels::product(a_turned, b_turned));
    }
    assert_eq!(kernels::product(Matrix::new(&[], 2, 0), Matrix::new(&[], 0, 3)), [0.0; 6]);
    assert_eq!(kernels::product(Matrix::new(&[], 0, 3), Matrix::new(&[0.0; 6], 3, 2)), [0.0; 0]);
}

/// The greatest relative error over steps between two numbers, where the true value is a normal number.
fn relative_error(f: fn(&[f32]) -> Vec<f32>, truth: fn(f64) -> f64, low: f32, high: f32) -> f64 {
    let steps = 400_003;
    let input: Vec<f32> = (0..steps).map(|i| low + (high - low) * (i as f32 / (steps - 1) as f32)).collect();
    let mut worst = 0.0_f64;
    for (x, y) in input.iter().zip(f(&input)) {
        let want = truth(f64::from(*x));
        if want.abs() >= f64::from(f32::MIN_POSITIVE) && want.abs() <= f64::from(f32::MAX) {
            worst = worst.max(((f64::from(y) - want) / want).abs());
        }
    }
    worst
}

#[test]
fn elementary_functions_keep_their_bounds() {
    let softplus = |x: f64| x.exp().ln_1p();
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    // Name, ours, the truth, allowed relative error, ranges to try.
    type Case<'a> = (&'a str, fn(&[f32]) -> Vec<f32>, fn(f64) -> f64, f64, &'a [[f32; 2]]);
    let silu = |x: f64| x / (1.0 + (-x).exp());
    let cases: [Case; 6] = [
        ("exp", kernels::exp, f64::exp, 1e-7, &[[-90.0, 90.0], [-1.0, 1.0], [-1e-3, 1e-3]]),
        ("ln", kernels::ln, f64::ln, 1e-7, &[[1e-30, 1e-20], [1e-4, 4.0], [0.9, 1.1], [1.0, 3e38]]),
        ("tanh", kernels::tanh, f64::tanh, 5e-7, &[[-20.0, 20.0], [-1.0, 1.0], [-1e-3, 1e-3], [1e-30, 1e-6]]),
        ("softplus", kernels::softplus, softplus, 3e-7, &[[-86.0, 86.0], [-20.0, 2.0], [-1.0, 1.0]]),
        ("sigmoid", kernels::sigmoid, sigmoid, 2e-7, &[[-86.0, 86.0], [-1.0, 1.0]]),
        ("silu", kernels::silu, silu, 3e-7, &[[-80.0, 80.0], [-1.0, 1.0], [1e-30, 1e-6]]),
    ];
    for (name, f, truth, bound, ranges) in cases {
        for [low, high] in ranges {
            let error = relative_error(f, truth, *low, *high);
            println!("{name} on [{low}, {high}]: {error:e}");
            assert!(error <= bound, "{name} on [{low}, {high}]: {error:e}");
        }
    }
}

#[test]
fn elementary_functions_at_their_ends() {
    let (infinity, nan) = (f32::INFINITY, f32::NAN);
    assert_eq!(kernels::exp(&[-infinity, -200.0, 0.0, 89.0, infinity]), [0.0, 0.0, 1.0, infinity, infinity]);
    assert_eq!(kernels::ln(&[0.0, -0.0, 1.0, infinity]), [-infinity, -infinity, 0.0, infinity]);
    assert_eq!(kernels::tanh(&[-infinity, -0.0, 0.0, infinity]).map_abs(), [1.0, 0.0, 0.0, 1.0]);
    assert_eq!(kernels::softplus(&[-infinity, 100.0, infinity]), [0.0, 100.0, infinity]);
    assert_eq!(kernels::sigmoid(&[-infinity, 0.0, infinity]), [0.0, 0.5, 1.0]);
    assert!(kernels::ln(&[-1.0, -infinity, nan]).iter().all(|x| x.is_nan()));
    for f in [kernels::exp, kernels::tanh, kernels::softplus, kernels::sigmoid] {
        assert!(f(&[nan])[0].is_nan());
    }
    // Subnormal numbers in and out.
    close(&kernels::ln(&[1e-40, f32::from_bits(1)]), &[f64::from(1e-40_f32).ln(), -149.0 * 2.0_f64.ln()], 2e-7);
    assert!((kernels::exp(&[-95.0])[0] - 5.5e-42).abs() < 1e-43);
}

trait MapAbs {
    fn map_abs(self) -> Vec<f32>;
}

impl MapAbs for Vec<f32> {
    fn map_abs(self) -> Vec<f32> {
        self.into_iter().map(f32::abs).collect()
    }
}

fn activate(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::None => x,
        Activation::Relu => x.max(0.0),
        Activation::Tanh => x.tanh(),
        Activation::Silu => x / (1.0 + (-x).exp()),
        Activation::Gelu => {
            0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x)).tanh())
        }
    }
}

#[test]
fn linear_layers_and_the_way_back_through_their_activation() {
    for [batch, inputs, outputs] in [[1, 1, 1], [5, 3, 7], [9, 17, 13]] {
        let (x, w, b) = (numbers(batch * inputs, 1), numbers(inputs * outputs, 2), numbers(outputs, 3));
        let sums = naive(&x, &w, [batch, inputs, outputs]);
        let sums: Vec<f64> = sums.iter().enumerate().map(|(i, sum)| sum + f64::from(b[i % outputs])).collect();
        use Activation::{Gelu, None, Relu, Silu, Tanh};
        for activation in [None, Relu, Tanh, Gelu, Silu] {
            let (input, weight) = (Matrix::new(&x, batch, inputs), Matrix::new(&w, inputs, outputs));
            let (output, slope) = kernels::linear(input, weight, &b, activation);
            let want: Vec<f64> = sums.iter().map(|x| activate(activation, *x)).collect();
            close(&output, &want, 2e-6);
            let mut gradient = vec![1.0; output.len()];
            let saved = if matches!(activation, Gelu | Silu) { &slope } else { &output };
            kernels::through_activation(activation, saved, &mut gradient);
            let step = 1e-5;
            let slopes = sums.iter().map(|x| activate(activation, x + step) - activate(activation, x - step));
            close(&gradient, &slopes.map(|rise| rise / (2.0 * step)).collect::<Vec<_>>(), 3e-6);
            let column = |j: usize| gradient.iter().skip(j).step_by(outputs).map(|g| f64::from(*g)).sum();
            let want: Vec<f64> = (0..outputs).map(column).collect();
            close(&kernels::column_sums(Matrix::new(&gradient, batch, outputs)), &want, 1e-6);
        }
    }
}

/// Loss and gradient in f64.
fn cross_entropy(logits: &[f32], target: &[f32], classes: usize) -> (f64, Vec<f64>) {
    let batch = (logits.len() / classes) as f64;
    let (mut loss, mut gradient) = (0.0, vec![]);
    for (z, t) in logits.chunks(classes).zip(target.chunks(classes)) {
        let greatest = f64::from(z.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        let total: f64 = z.iter().map(|z| (f64::from(*z) - greatest).exp()).sum();
        let mass: f64 = t.iter().map(|t| f64::from(*t)).sum();
        for (z, t) in z.iter().zip(t) {
            let log = f64::from(*z) - greatest - total.ln();
            if *t != 0.0 {
                loss -= f64::from(*t) * log / batch;
            }
            gradient.push((log.exp() * mass - f64::from(*t)) / batch);
        }
    }
    (loss, gradient)
}

#[test]
fn losses_and_their_gradients() {
    for [batch, classes] in [[1, 1], [3, 2], [5, 4], [7, 13], [2, 101]] {
        let logits: Vec<f32> = numbers(batch * classes, 4).iter().map(|x| 30.0 * x).collect();
        let target: Vec<f32> = numbers(batch * classes, 5).iter().map(|x| x.abs()).collect();
        let (want, want_gradient) = cross_entropy(&logits, &target, classes);
        let (loss, gradient) = kernels::softmax_cross_entropy(&logits, &target, classes);
        close(&[loss], &[want], 1e-6);
        close(&gradient, &want_gradient, 1e-6);

        let index: Vec<usize> = (0..batch).map(|i| i * 7 % classes).collect();
        let mut hard = vec![0.0; batch * classes];
        index.iter().enumerate().for_each(|(row, class)| hard[row * classes + class] = 1.0);
        let (want, want_gradient) = cross_entropy(&logits, &hard, classes);
        let (loss, gradient) = kernels::softmax_cross_entropy_with_indices(&logits, &index, classes);
        close(&[loss], &[want], 1e-6);
        close(&gradient, &want_gradient, 1e-6);

        let probabilities = kernels::softmax(&logits, classes);
        for row in probabilities.chunks(classes) {
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        }

        let (loss, gradient) = kernels::mean_squared_error(&logits, &target);
        let differences: Vec<f64> = logits.iter().zip(&target).map(|(a, b)| f64::from(a - b)).collect();
        let count = differences.len() as f64;
        close(&[loss], &[differences.iter().map(|d| d * d).sum::<f64>() / count], 1e-6);
        close(&gradient, &differences.iter().map(|d| 2.0 * d / count).collect::<Vec<_>>(), 1e-6);
    }
}

#[test]
fn a_class_that_cannot_be_costs_nothing() {
    let (loss, gradient) = kernels::softmax_cross_entropy(&[0.0, f32::NEG_INFINITY, 0.0], &[1.0, 0.0, 0.0], 3);
    assert!((loss - 2.0_f32.ln()).abs() < 1e-6);
    close(&gradient, &[-0.5, 0.0, 0.5], 1e-6);
}

#[test]
fn adam_follows_its_paper() {
    for count in [1, 4, 7, 33] {
        let (rate, beta_1, beta_2, epsilon, decay) = (0.01_f64, 0.9_f64, 0.999_f64, 1e-8_f64, 0.1_f64);
        let (mut got, mut first, mut second) = (numbers(count, 6), vec![0.0; count], vec![0.0; count]);
        let mut want: Vec<f64> = got.iter().map(|x| f64::from(*x)).collect();
        let (mut m, mut v) = (vec![0.0; count], vec![0.0; count]);
        for t in 1..=20 {
            let gradient = numbers(count, 6 + t);
            let (left_1, left_2) = (1.0 - beta_1.powi(t as i32), 1.0 - beta_2.powi(t as i32));
            let step = AdamStep {
                beta_1: beta_1 as f32,
                beta_2: beta_2 as f32,
                rest_1: (1.0 - beta_1) as f32,
                rest_2: (1.0 - beta_2) as f32,
                rate: (rate / left_1) as f32,
                root: left_2.sqrt() as f32,
                epsilon: epsilon as f32,
                keep: (1.0 - rate * decay) as f32,
                scale: 0.5,
            };
            kernels::adam(&step, &mut got, &gradient, [&mut first, &mut second]);
            for i in 0..count {
                let g = 0.5 * f64::from(gradient[i]);
                m[i] = beta_1 * m[i] + (1.0 - beta_1) * g;
                v[i] = beta_2 * v[i] + (1.0 - beta_2) * g * g;
                want[i] -= rate * decay * want[i];
                want[i] -= rate * (m[i] / left_1) / ((v[i] / left_2).sqrt() + epsilon);
            }
        }
        close(&got, &want, 2e-6);
        close(&first, &m, 1e-6);
        close(&second, &v, 1e-6);
    }
}

/// A matrix whose rows are parts of longer rows.
fn spread(numbers: &[f32], columns: usize, stride: usize, filler: f32) -> Vec<f32> {
    let row =
        |row: &[f32]| row.iter().copied().chain(std::iter::repeat_n(filler, stride - columns)).collect::<Vec<_>>();
    numbers.chunks(columns).flat_map(row).collect()
}

#[test]
fn products_of_blocks() {
    for [m, k, n] in [[1, 5, 9], [1, 3, 2], [6, 7, 9], [13, 17, 3]] {
        let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
        let want = kernels::product(Matrix::new(&a, m, k), Matrix::new(&b, k, n));
        let (wide_a, wide_b) = (spread(&a, k, k + 3, f32::NAN), spread(&b, n, n + 2, f32::NAN));
        let mut c = vec![7.0; m * (n + 1)];
        c.chunks_mut(n + 1).for_each(|row| row[..n].fill(0.0));
        let (a, b) = (Matrix::block(&wide_a, m, k, k + 3), Matrix::block(&wide_b, k, n, n + 2));
        kernels::add_product(a, b, kernels::MatrixMut::block(&mut c, m, n, n + 1));
        assert_eq!(c, spread(&want, n, n + 1, 7.0));
    }
}

#[test]
#[should_panic(expected = "a block of [2, 3] in rows of 4 ends after 6 numbers")]
fn a_block_lies_inside_its_numbers() {
    Matrix::block(&[0.0; 6], 2, 3, 4);
}

/// What a number of an output weighs in the sum that differences are taken of.
fn weights_of(count: usize) -> Vec<f64> {
    numbers(count, 99).into_iter().map(f64::from).collect()
}

/// The slopes of the weighed output of `f` in f64, by differences.
fn slopes(x: &[f32], f: impl Fn(&[f64]) -> Vec<f64>) -> Vec<f64> {
    let (count, mut x) = (x.len(), wide(x));
    let step = 1e-5;
    let mut value = |i: usize, by: f64| -> f64 {
        x[i] += by;
        let output = f(&x);
        x[i] -= by;
        output.iter().zip(weights_of(output.len())).map(|(y, w)| y * w).sum()
    };
    (0..count).map(|i| (value(i, step) - value(i, -step)) / (2.0 * step)).collect()
}

fn wide(numbers: &[f32]) -> Vec<f64> {
    numbers.iter().map(|x| f64::from(*x)).collect()
}

fn narrow(numbers: Vec<f64>) -> Vec<f32> {
    numbers.into_iter().map(|x| x as f32).collect()
}

/// A norm in f64.
fn norm(kind: Norm, input: &[f64], gain: &[f64], bias: &[f64], epsilon: f64) -> Vec<f64> {
    let width = gain.len();
    let row = |row: &[f64]| {
        let mean = if kind == Norm::Layer { row.iter().sum::<f64>() / width as f64 } else { 0.0 };
        let square = row.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / width as f64;
        let normal = |i: usize| (row[i] - mean) / (square + epsilon).sqrt();
        (0..width).map(|i| normal(i) * gain[i] + bias.get(i).copied().unwrap_or(0.0)).collect::<Vec<_>>()
    };
    input.chunks(width).flat_map(row).collect()
}

#[test]
fn norms_and_their_gradients() {
    for [rows, width] in [[1, 1], [3, 5], [2, 8], [7, 67], [5, 64]] {
        for kind in [Norm::Layer, Norm::RootMeanSquare] {
            let (x, gain, bias) = (numbers(rows * width, 1), numbers(width, 2), numbers(width, 3));
            let bias = if kind == Norm::Layer { bias } else { vec![] };
            // Large enough that a row of one number has a slope.
            let epsilon = 0.01_f32;
            let f = |x: &[f64], gain: &[f64], bias: &[f64]| norm(kind, x, gain, bias, f64::from(epsilon));
            let (got, saved) = kernels::norm(kind, &x, &gain, &bias, epsilon);
            close(&got, &f(&wide(&x), &wide(&gain), &wide(&bias)), 2e-6);
            let gradient = narrow(weights_of(rows * width));
            let [to_x, to_gain, to_bias] = kernels::norm_backward(kind, &saved, &gain, &gradient);
            close(&to_x, &slopes(&x, |x| f(x, &wide(&gain), &wide(&bias))), 2e-5);
            close(&to_gain, &slopes(&gain, |gain| f(&wide(&x), gain, &wide(&bias))), 2e-5);
            if !bias.is_empty() {
                close(&to_bias, &slopes(&bias, |bias| f(&wide(&x), &wide(&gain), bias)), 2e-5);
            }
        }
    }
}

#[test]
fn embeddings_and_their_gradients() {
    for [batch, tokens, vocabulary, width] in [[1, 1, 1, 1], [2, 3, 5, 7], [3, 4, 2, 8]] {
        let index: Vec<usize> = (0..batch * tokens).map(|i| i * 7 % vocabulary).collect();
        let (table, positions) = (numbers(vocabulary * width, 1), numbers(tokens * width, 2));
        for positions in [&positions[..], &[]] {
            let f = |table: &[f64], positions: &[f64]| -> Vec<f64> {
                let cell = |row: usize, column: usize| {
                    let position = positions.get(row % tokens * width + column).copied().unwrap_or(0.0);
                    table[index[row] * width + column] + position
                };
                (0..index.len() * width).map(|i| cell(i / width, i % width)).collect()
            };
            let got = kernels::embedding(&table, positions, &index, width);
            close(&got, &f(&wide(&table), &wide(positions)), 1e-6);
            let gradient = narrow(weights_of(got.len()));
            let rows = positions.len() / width;
            let [to_table, to_positions] = kernels::embedding_backward(&gradient, &index, [vocabulary, rows, width]);
            close(&to_table, &slopes(&table, |table| f(table, &wide(positions))), 1e-5);
            close(&to_positions, &slopes(positions, |positions| f(&wide(&table), positions)), 1e-5);
        }
    }
}

#[test]
fn rotations_keep_lengths_and_turn_back() {
    let [batch, tokens, heads, d_head] = [2, 3, 2, 10];
    let rows = numbers(batch * tokens * heads * d_head, 1);
    let angles: Vec<f64> = (0..tokens * d_head / 2).map(|i| i as f64 * 0.7).collect();
    let [cosines, sines] = [f64::cos, f64::sin].map(|f| narrow(angles.iter().map(|angle| f(*angle)).collect()));
    let mut turned = rows.clone();
    kernels::rotate(&mut turned, &cosines, &sines, [tokens, heads, d_head]);
    let want = (0..rows.len()).map(|i| {
        let (at, angle) = (i % d_head, angles[i / (heads * d_head) % tokens * (d_head / 2) + i % (d_head / 2)]);
        let x = |i: usize| f64::from(rows[i]);
        if at < d_head / 2 {
            x(i) * angle.cos() - x(i + d_head / 2) * angle.sin()
        } else {
            x(i) * angle.cos() + x(i - d_head / 2) * angle.sin()
        }
    });
    close(&turned, &want.collect::<Vec<_>>(), 1e-6);
    let back: Vec<f32> = sines.iter().map(|sine| -sine).collect();
    kernels::rotate(&mut turned, &cosines, &back, [tokens, heads, d_head]);
    close(&turned, &wide(&rows), 1e-6);
}

/// Attention in f64, by its definition.
fn attention([q, k, v]: [&[f64]; 3], shape: AttentionShape, scale: f64) -> Vec<f64> {
    let AttentionShape { batch, queries, keys, heads, key_heads, d_key, d_value } = shape;
    let mut output = vec![];
    for (b, i) in (0..batch * queries).map(|i| (i / queries, i % queries)) {
        for h in 0..heads {
            let shared = h / (heads / key_heads);
            let seen = keys - queries + i + 1;
            let query = &q[((b * queries + i) * heads + h) * d_key..][..d_key];
            let score = |j: usize| -> f64 {
                let key = &k[((b * keys + j) * key_heads + shared) * d_key..][..d_key];
                query.iter().zip(key).map(|(q, k)| q * k).sum::<f64>() * scale
            };
            let powers: Vec<f64> = (0..seen).map(|j| score(j).exp()).collect();
            let total: f64 = powers.iter().sum();
            output.extend((0..d_value).map(|c| -> f64 {
                let value = |j: usize| v[((b * keys + j) * key_heads + shared) * d_value + c];
                powers.iter().enumerate().map(|(j, power)| power / total * value(j)).sum()
            }));
        }
    }
    output
}

#[test]
fn attention_of_many_heads_and_its_gradients() {
    for [batch, queries, keys, heads, key_heads, d_key, d_value] in [
        [1, 1, 1, 1, 1, 1, 1],
        [2, 3, 3, 2, 2, 4, 5],
        [3, 1, 5, 4, 2, 3, 3],
        [1, 9, 11, 3, 1, 7, 2],
        [1, 3, 4, 2, 1, 8, 9],
    ] {
        let shape = AttentionShape { batch, queries, keys, heads, key_heads, d_key, d_value };
        let (q, k) = (numbers(batch * queries * heads * d_key, 1), numbers(batch * keys * key_heads * d_key, 2));
        let v = numbers(batch * keys * key_heads * d_value, 3);
        let f = |q: &[f64], k: &[f64], v: &[f64]| attention([q, k, v], shape, f64::from(0.7_f32));
        let [got, weights] = kernels::attention(&q, &k, &v, shape, 0.7);
        close(&got, &f(&wide(&q), &wide(&k), &wide(&v)), 2e-6);
        assert_eq!(weights, kernels::attention_weights(&q, &k, shape, 0.7));
        for (row, weights) in weights.chunks(keys).enumerate() {
            let seen = keys - queries + row % queries + 1;
            assert!((weights.iter().sum::<f32>() - 1.0).abs() < 1e-6 && weights[seen..].iter().all(|w| *w == 0.0));
        }
        let gradient = narrow(weights_of(got.len()));
        let [to_q, to_k, to_v] = kernels::attention_backward([&q, &k, &v], &weights, &gradient, shape, 0.7);
        close(&to_q, &slopes(&q, |q| f(q, &wide(&k), &wide(&v))), 2e-5);
        close(&to_k, &slopes(&k, |k| f(&wide(&q), k, &wide(&v))), 2e-5);
        close(&to_v, &slopes(&v, |v| f(&wide(&q), &wide(&k), v)), 2e-5);
        if heads == 1 {
            let (mut row, mut output) = (vec![0.0; keys], vec![0.0; d_value]);
            let (last, k, v) = (&q[q.len() - d_key..], &k[k.len() - keys * d_key..], &v[v.len() - keys * d_value..]);
            kernels::attend(last, [k, v, &[]], 0.7, &mut row, &mut output);
            close(&output, &wide(&got[got.len() - d_value..]), 1e-6);
            close(&row, &wide(&weights[weights.len() - keys..]), 1e-6);
            // A key that counts three times over is three such keys.
            let (mut thrice, mut other) = (vec![0.0; keys + 2], vec![0.0; d_value]);
            let with_copies = |rows: &[f32], width: usize| [&rows[..width], &rows[..width], rows].concat();
            let (k3, v3) = (with_copies(k, d_key), with_copies(v, d_value));
            kernels::attend(last, [&k3, &v3, &[]], 0.7, &mut thrice, &mut other);
            let mut bias = vec![0.0; keys];
            bias[0] = 3.0_f32.ln();
            kernels::attend(last, [k, v, &bias], 0.7, &mut row, &mut output);
            close(&output, &wide(&other), 1e-6);
            close(&row[1..], &wide(&thrice[3..]), 1e-6);
            // One span that is all of it is the whole cache, to the bit; several with one query are these rows of it.
            kernels::attend(last, [k, v, &[]], 0.7, &mut row, &mut output);
            let (mut row_of_one, mut output_of_one) = (vec![0.0; keys], vec![0.0; d_value]);
            kernels::attend_spans(
                last,
                std::slice::from_ref(&(0..keys)),
                [k, v],
                0.7,
                &mut row_of_one,
                &mut output_of_one,
            );
            assert_eq!((&row_of_one, &output_of_one), (&row, &output));
            let spans = [0..1, keys - 1..keys];
            let ends = |rows: &[f32], width: usize| [&rows[..width], &rows[rows.len() - width..]].concat();
            let (mut two, mut other) = ([0.0; 2], vec![0.0; d_value]);
            kernels::attend(last, [&ends(k, d_key), &ends(v, d_value), &[]], 0.7, &mut two, &mut other);
            let (mut two_of_spans, mut got) = ([0.0; 2], vec![0.0; d_value]);
            kernels::attend_spans(&last.repeat(2), &spans, [k, v], 0.7, &mut two_of_spans, &mut got);
            close(&two_of_spans, &wide(&two), 1e-6);
            close(&got, &wide(&other), 1e-6);
        }
    }
}

#[test]
fn a_step_of_gradient_descent() {
    for count in [1, 4, 7, 33] {
        let (mut got, gradient) = (numbers(count, 1), numbers(count, 2));
        let want = got.iter().zip(&gradient).map(|(x, g)| f64::from(*x) * 0.9 - f64::from(*g) * 0.25);
        let want: Vec<f64> = want.collect();
        kernels::sgd(&kernels::SgdStep { rate: 0.25, keep: 0.9 }, &mut got, &gradient);
        close(&got, &want, 1e-6);
    }
}
