//! The fused operations against finite differences and against the same made of Burn's primitives; the optimizer
//! against its paper; and the way of both to plain numbers and back.

use burn::module::{Module, Param};
use burn::nn::{Linear, LinearConfig};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor, TensorData};
use heads_and_tails::lab::seeded;
use heads_and_tails::mech::adam::{Adam, AdamConfig, load_parameters, parameters};
use heads_and_tails::mech::ops::{self, Activation, Elementary, Heads, Rotation, plain};
use heads_and_tails::mech::sgd::Sgd;

/// Numbers in [-1, 1) that look random and are not.
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    };
    (0..count).map(next).collect()
}

fn read<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    let data = pollster::block_on(tensor.into_data_async()).expect("the CPU does not fail");
    data.try_to_vec().expect("the kernels compute in f32")
}

fn device() -> Device {
    Device::flex().autodiff()
}

fn tensor(numbers: &[f32], shape: [usize; 2]) -> Tensor<2> {
    Tensor::from_data(TensorData::new(numbers.to_vec(), shape), &device())
}

/// Operands by their numbers and shapes.
type Operands = Vec<(Vec<f32>, [usize; 2])>;

/// A number that depends on every element of the output in another way.
fn weigh(output: Tensor<2>) -> Tensor<1> {
    let [rows, columns] = output.dims();
    (output * tensor(&numbers(rows * columns, 99), [rows, columns])).sum()
}

/// The value and the gradient of each operand.
fn gradients(operands: &Operands, f: &dyn Fn(&[Tensor<2>]) -> Tensor<1>) -> (f32, Vec<Vec<f32>>) {
    let tensors: Vec<_> = operands.iter().map(|(numbers, shape)| tensor(numbers, *shape).require_grad()).collect();
    let loss = f(&tensors);
    let value = read(loss.clone())[0];
    let mut tape = loss.backward();
    let gradient = |tensor: &Tensor<2>| read(tensor.grad_remove(&mut tape).expect("every operand has a gradient"));
    (value, tensors.iter().map(gradient).collect())
}

fn close(name: &str, got: &[f32], want: &[f32], tolerance: f32) {
    assert_eq!(got.len(), want.len(), "{name}");
    let scale = want.iter().fold(1.0_f32, |greatest, x| greatest.max(x.abs()));
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        assert!((got - want).abs() <= tolerance * scale, "{name}, number {i}: got {got}, want {want}");
    }
}

/// The fused operation has the value and gradients of the plain one, and the gradients that finite differences give.
fn check(
    name: &str,
    operands: Operands,
    fused: impl Fn(&[Tensor<2>]) -> Tensor<1>,
    plain: impl Fn(&[Tensor<2>]) -> Tensor<1>,
) {
    let calls = ops::flex_calls();
    let (value, got) = gradients(&operands, &fused);
    assert_eq!(ops::flex_calls(), calls + 2, "{name}: one pass forward and one back");
    let (plain_value, want) = gradients(&operands, &plain);
    assert_eq!(ops::flex_calls(), calls + 2, "{name}: what it is compared with is not fused");
    close(name, &[value], &[plain_value], 1e-5);
    for (operand, (got, want)) in got.iter().zip(&want).enumerate() {
        close(&format!("{name}, operand {operand}"), got, want, 1e-5);
        let step = 1e-2;
        let moved = |i: usize, by: f32| {
            let mut operands = operands.clone();
            operands[operand].0[i] += by;
            let tensors: Vec<_> = operands.iter().map(|(numbers, shape)| tensor(numbers, *shape)).collect();
            read(fused(&tensors))[0]
        };
        let slopes: Vec<f32> = (0..got.len()).map(|i| (moved(i, step) - moved(i, -step)) / (2.0 * step)).collect();
        close(&format!("{name}, operand {operand} by differences"), got, &slopes, 2e-3);
    }
}

const ACTIVATIONS: [Activation; 5] =
    [Activation::None, Activation::Relu, Activation::Tanh, Activation::Gelu, Activation::Silu];
const SHAPES: [[usize; 3]; 4] = [[1, 1, 1], [5, 3, 7], [4, 8, 8], [9, 11, 2]];

#[test]
fn linear_layers() {
    for [batch, d_input, d_output] in SHAPES {
        let mut operands = vec![
            (numbers(batch * d_input, 1), [batch, d_input]),
            (numbers(d_input * d_output, 2), [d_input, d_output]),
            (numbers(d_output, 3), [1, d_output]),
        ];
        for activation in ACTIVATIONS {
            if activation == Activation::Relu {
                // Differences across the kink would say nothing: every sum is moved well away from it.
                operands[2].0.iter_mut().enumerate().for_each(|(i, bias)| *bias = [20.0, -20.0][i % 2]);
            }
            let bias = |t: &[Tensor<2>]| t[2].clone().reshape([d_output]);
            check(
                &format!("linear with {activation:?}"),
                operands.clone(),
                |t| weigh(ops::linear(t[0].clone(), t[1].clone(), bias(t), activation)),
                |t| weigh(plain::linear(t[0].clone(), t[1].clone(), bias(t), activation)),
            );
            operands[2].0 = numbers(d_output, 3);
        }
    }
}

#[test]
fn linear_layers_of_several_networks() {
    let [replicas, batch, d_input, d_output] = [3, 5, 4, 7];
    let operands = vec![
        (numbers(replicas * batch * d_input, 1), [replicas * batch, d_input]),
        (numbers(replicas * d_input * d_output, 2), [replicas * d_input, d_output]),
        (numbers(replicas * d_output, 3), [replicas, d_output]),
    ];
    for activation in [Activation::None, Activation::Tanh, Activation::Gelu, Activation::Silu] {
        check(
            &format!("linear of each with {activation:?}"),
            operands.clone(),
            |t| {
                let (input, weight) = (sequences(&t[0], replicas), sequences(&t[1], replicas));
                weigh(flat(ops::linear_each(input, weight, t[2].clone(), activation)))
            },
            |t| {
                let (input, weight) = (sequences(&t[0], replicas), sequences(&t[1], replicas));
                weigh(flat(plain::linear_each(input, weight, t[2].clone(), activation)))
            },
        );
    }
    let [input, weight, bias] = [0, 1, 2].map(|index: usize| tensor(&operands[index].0, operands[index].1));
    let together =
        ops::linear_each(sequences(&input, replicas), sequences(&weight, replicas), bias.clone(), Activation::Relu);
    for (replica, together) in read(together).chunks(batch * d_output).enumerate() {
        let part = |tensor: &Tensor<2>, rows: usize| tensor.clone().narrow(0, replica * rows, rows);
        let (input, weight) = (part(&input, batch), part(&weight, d_input));
        let alone = ops::linear(input, weight, part(&bias, 1).reshape([d_output]), Activation::Relu);
        assert_eq!(together, read(alone), "replica {replica}");
    }
}

/// Operands are matrices in these tests: sequences below each other.
fn sequences(t: &Tensor<2>, batch: usize) -> Tensor<3> {
    let [rows, width] = t.dims();
    t.clone().reshape([batch, rows / batch, width])
}

fn flat(t: Tensor<3>) -> Tensor<2> {
    let [batch, tokens, width] = t.dims();
    t.reshape([batch * tokens, width])
}

#[test]
fn causal_attention() {
    for [batch, queries, keys, heads, key_heads, d_key, d_value] in [
        [1, 1, 1, 1, 1, 1, 1],
        [2, 3, 3, 1, 1, 4, 5],
        [3, 1, 5, 2, 2, 2, 3],
        [2, 4, 9, 1, 1, 7, 2],
        [2, 3, 5, 4, 2, 3, 2],
    ] {
        let operands = vec![
            (numbers(batch * queries * heads * d_key, 1), [batch * queries, heads * d_key]),
            (numbers(batch * keys * key_heads * d_key, 2), [batch * keys, key_heads * d_key]),
            (numbers(batch * keys * key_heads * d_value, 3), [batch * keys, key_heads * d_value]),
        ];
        let shared = Heads { queries: heads, keys: key_heads };
        let name = format!("attention of {queries} queries to {keys} keys in {shared:?}");
        let parts = |t: &[Tensor<2>]| [0, 1, 2].map(|i| sequences(&t[i], batch));
        check(
            &name,
            operands.clone(),
            |t| {
                let [q, k, v] = parts(t);
                weigh(flat(ops::causal_attention(q, k, v, shared, 0.7)))
            },
            |t| {
                let [q, k, v] = parts(t);
                weigh(flat(plain::causal_attention(q, k, v, shared, 0.7)))
            },
        );
        let tensors: Vec<_> = operands.iter().map(|(numbers, shape)| tensor(numbers, *shape)).collect();
        let [q, k, v] = parts(&tensors);
        let weights = ops::attention_weights(q.clone(), k.clone(), shared, 0.7);
        let output = read(ops::causal_attention(q, k, v.clone(), shared, 0.7));
        let value = read(v);
        let rows = read(weights);
        for (row, weights) in rows.chunks_exact(keys).enumerate() {
            let (sequence, head, query) = (row / queries / heads, row / queries % heads, row % queries);
            let seen = keys - queries + query + 1;
            assert!((weights.iter().sum::<f32>() - 1.0).abs() < 1e-6, "{name}: {weights:?}");
            assert!(weights[..seen].iter().all(|w| *w > 0.0) && weights[seen..].iter().all(|w| *w == 0.0), "{name}");
            let at = |key: usize| ((sequence * keys + key) * key_heads + head / (heads / key_heads)) * d_value;
            let mean: f32 = weights.iter().enumerate().map(|(key, weight)| weight * value[at(key)]).sum();
            let got = output[((sequence * queries + query) * heads + head) * d_value];
            assert!((mean - got).abs() < 1e-5, "{name}: the weights give {mean}, the output is {got}");
        }
    }
}

#[test]
fn norms() {
    for [rows, width, _] in SHAPES {
        let mut operands = vec![
            (numbers(rows * width, 1), [rows, width]),
            (numbers(width, 2), [1, width]),
            (numbers(width, 3), [1, width]),
        ];
        let row = |t: &Tensor<2>| t.clone().reshape([width]);
        // Large enough that a row of one number has a slope.
        check(
            "layer norm",
            operands.clone(),
            |t| weigh(ops::layer_norm(t[0].clone(), row(&t[1]), row(&t[2]), 0.1)),
            |t| weigh(plain::layer_norm(t[0].clone(), row(&t[1]), row(&t[2]), 0.1)),
        );
        operands.pop();
        check(
            "root-mean-square norm",
            operands,
            |t| weigh(ops::rms_norm(t[0].clone(), row(&t[1]), 0.1)),
            |t| weigh(plain::rms_norm(t[0].clone(), row(&t[1]), 0.1)),
        );
    }
}

#[test]
fn embeddings() {
    for [batch, tokens, vocabulary, width] in [[1, 1, 1, 1], [2, 3, 5, 7], [3, 4, 2, 8]] {
        let index: Vec<i32> = (0..batch * tokens).map(|i| (i * 7 % vocabulary) as i32).collect();
        let index = || Tensor::<2, Int>::from_data(TensorData::new(index.clone(), [batch, tokens]), &device());
        let mut operands =
            vec![(numbers(vocabulary * width, 1), [vocabulary, width]), (numbers(tokens * width, 2), [tokens, width])];
        check(
            "embedding with positions",
            operands.clone(),
            |t| weigh(flat(ops::embedding(t[0].clone(), index(), Some(t[1].clone())))),
            |t| weigh(flat(plain::embedding(t[0].clone(), index(), Some(t[1].clone())))),
        );
        operands.pop();
        check(
            "embedding",
            operands,
            |t| weigh(flat(ops::embedding(t[0].clone(), index(), None))),
            |t| weigh(flat(plain::embedding(t[0].clone(), index(), None))),
        );
    }
}

#[test]
fn rotary_positions() {
    let [batch, tokens, heads, d_head] = [2, 3, 2, 6];
    let rotation = Rotation::new([0, 5, 7], d_head, 100.0);
    check(
        "rotary positions",
        vec![(numbers(batch * tokens * heads * d_head, 1), [batch * tokens, heads * d_head])],
        |t| weigh(flat(ops::rotate(sequences(&t[0], batch), &rotation))),
        |t| weigh(flat(plain::rotate(sequences(&t[0], batch), &rotation))),
    );
    // The product of two rows depends on their distance alone.
    let rows = numbers(2 * d_head, 1);
    let product = |at: usize| {
        let mut rows = rows.clone();
        Rotation::new([at, at + 3], d_head, 100.0).turn(&mut rows, 1);
        let (a, b) = rows.split_at(d_head);
        a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>()
    };
    assert!((product(0) - product(40)).abs() < 1e-5, "{} and {}", product(0), product(40));
}

#[test]
fn sums() {
    for [rows, columns, _] in SHAPES {
        let operands = [6, 7].map(|seed| (numbers(rows * columns, seed), [rows, columns])).to_vec();
        let (fused, plain) = (
            |t: &[Tensor<2>]| weigh(ops::add(t[0].clone(), t[1].clone())),
            |t: &[Tensor<2>]| weigh(t[0].clone() + t[1].clone()),
        );
        check("a sum", operands, fused, plain);
    }
    let a = tensor(&[1.0, 2.0], [1, 2]);
    let _sum = ops::add(a.clone(), a.clone());
    assert_eq!(read(a), [1.0, 2.0], "what has two owners is not overwritten");
}

#[test]
fn rectified_layers_near_the_kink() {
    let operands = vec![(numbers(35, 1), [5, 7]), (numbers(21, 2), [7, 3]), (numbers(3, 3), [1, 3])];
    let bias = |t: &[Tensor<2>]| t[2].clone().reshape([3]);
    let fused = |t: &[Tensor<2>]| weigh(ops::linear(t[0].clone(), t[1].clone(), bias(t), Activation::Relu));
    let plain = |t: &[Tensor<2>]| weigh(plain::linear(t[0].clone(), t[1].clone(), bias(t), Activation::Relu));
    let ((got, got_gradients), (want, want_gradients)) = (gradients(&operands, &fused), gradients(&operands, &plain));
    close("rectified", &[got], &[want], 1e-5);
    for (got, want) in got_gradients.iter().zip(&want_gradients) {
        close("rectified", got, want, 1e-5);
    }
}

#[test]
fn a_layer_without_a_bias() {
    let layer = seeded(0, &device(), |device| LinearConfig::new(3, 2).with_bias(false).init(device));
    let input = tensor(&numbers(12, 1), [4, 3]);
    let got = ops::linear_layer(&layer, input.clone(), Activation::None);
    close("without a bias", &read(got), &read(layer.forward(input)), 1e-6);
}

#[test]
fn cross_entropies() {
    for [batch, classes, _] in SHAPES {
        let logits = (numbers(batch * classes, 4), [batch, classes]);
        let target: Vec<f32> = numbers(batch * classes, 5).iter().map(|x| x.abs()).collect();
        let target = tensor(&target, [batch, classes]);
        check(
            "softmax cross-entropy",
            vec![logits.clone()],
            |t| ops::softmax_cross_entropy(t[0].clone(), target.clone()) * 3.0,
            |t| plain::softmax_cross_entropy(t[0].clone(), target.clone()) * 3.0,
        );
        let index: Vec<i32> = (0..batch).map(|i| (i * 7 % classes) as i32).collect();
        let index = Tensor::<1, Int>::from_data(index.as_slice(), &device());
        check(
            "cross-entropy with indices",
            vec![logits],
            |t| ops::cross_entropy_with_indices(t[0].clone(), index.clone()),
            |t| plain::cross_entropy_with_indices(t[0].clone(), index.clone()),
        );
    }
}

#[test]
#[should_panic(expected = "a target gets no gradient")]
fn a_target_that_wants_a_gradient_is_refused() {
    let tracked = tensor(&[0.5, 0.5], [1, 2]).require_grad();
    let _loss = ops::softmax_cross_entropy(tensor(&[0.0, 1.0], [1, 2]), tracked);
}

#[test]
fn squared_errors_and_softmax() {
    for [rows, columns, _] in SHAPES {
        let [a, b] = [6, 7].map(|seed| (numbers(rows * columns, seed), [rows, columns]));
        check(
            "mean squared error",
            vec![a.clone(), b],
            |t| ops::mean_squared_error(t[0].clone(), t[1].clone()) * 2.0,
            |t| plain::mean_squared_error(t[0].clone(), t[1].clone()) * 2.0,
        );
        check("softmax", vec![a], |t| weigh(ops::softmax(t[0].clone())), |t| weigh(plain::softmax(t[0].clone())));
    }
}

#[test]
fn elementary_functions() {
    for [rows, columns, _] in SHAPES {
        let x: Vec<f32> = numbers(rows * columns, 8).iter().map(|x| 2.0 * x).collect();
        let positive: Vec<f32> = x.iter().map(|x| x.abs() + 0.5).collect();
        let cases: [(Elementary, fn(Tensor<2>) -> Tensor<2>, &[f32]); 5] = [
            (Elementary::Exp, ops::exp, &x),
            (Elementary::Ln, ops::ln, &positive),
            (Elementary::Tanh, ops::tanh, &x),
            (Elementary::Softplus, ops::softplus, &x),
            (Elementary::Silu, ops::silu, &x),
        ];
        for (function, fused, x) in cases {
            check(
                &format!("{function:?}"),
                vec![(x.to_vec(), [rows, columns])],
                |t| weigh(fused(t[0].clone())),
                |t| weigh(plain::elementary(t[0].clone(), function)),
            );
        }
    }
}

#[test]
fn softplus_is_smooth_at_zero() {
    let x = Tensor::<1>::from_floats([0.0, -50.0, 50.0], &device()).require_grad();
    for f in [ops::softplus, |x| plain::elementary(x, Elementary::Softplus)] {
        let y = f(x.clone());
        close("softplus", &read(y.clone()), &[2.0_f32.ln(), 0.0, 50.0], 1e-6);
        let gradient = x.grad(&y.sum().backward()).expect("the input has a gradient");
        close("its slope", &read(gradient), &[0.5, 0.0, 1.0], 1e-6);
    }
}

/// The same numbers as a view that is no plain slice: every second column of the transpose of a wider tensor.
fn strided(numbers: &[f32], [rows, columns]: [usize; 2]) -> Tensor<2> {
    let mut wide = vec![7.0; 2 * rows * columns];
    for (i, number) in numbers.iter().enumerate() {
        wide[(i % columns) * 2 * rows + 2 * (i / columns)] = *number;
    }
    tensor(&wide, [columns, 2 * rows]).transpose().reshape([rows, 2, columns]).slice([0..rows, 0..1]).squeeze_dim(1)
}

#[test]
fn views_count_as_what_they_show() {
    let [batch, d_input, d_output] = [6, 5, 7];
    let (x, w) = (numbers(batch * d_input, 1), numbers(d_input * d_output, 2));
    let (target, b) = (numbers(batch * d_output, 3), numbers(3 * d_output, 4));
    type Make = fn(&[f32], [usize; 2]) -> Tensor<2>;
    let pass = |make: Make| {
        let (x, w) = (make(&x, [batch, d_input]).require_grad_of_leaf(), make(&w, [d_input, d_output]));
        let bias = tensor(&b, [3, d_output]).slice(1..2).reshape([d_output]);
        let hidden = ops::linear(x.clone(), w, bias, Activation::Gelu);
        let hidden = ops::tanh(hidden.transpose()).transpose();
        let target = make(&target, [batch, d_output]);
        let loss = ops::softmax_cross_entropy(hidden.clone(), target.clone())
            + ops::mean_squared_error(hidden.clone(), target)
            + ops::softmax(hidden.transpose()).powi_scalar(2).sum();
        let index = Tensor::<1, Int>::from_data([1, 0, 2, 0, 6, 5, 4, 3, 1, 0, 2, 0], &device()).slice(2..8);
        let loss =
            loss + ops::cross_entropy_with_indices(make(&target_like(batch, d_output), [batch, d_output]), index);
        let gradient = x.grad(&loss.clone().backward()).expect("the input has a gradient");
        (read(loss), read(gradient))
    };
    let ((want, want_gradient), (got, got_gradient)) = (pass(tensor), pass(strided));
    close("the loss of views", &got, &want, 1e-6);
    close("the gradient of views", &got_gradient, &want_gradient, 1e-6);
}

fn target_like(rows: usize, columns: usize) -> Vec<f32> {
    numbers(rows * columns, 12)
}

trait Leaf {
    fn require_grad_of_leaf(self) -> Self;
}

impl Leaf for Tensor<2> {
    /// A view made by operations becomes a leaf again, still a view.
    fn require_grad_of_leaf(self) -> Self {
        self.detach().require_grad()
    }
}

/// Two layers and a lone parameter that no loss reaches.
#[derive(Module, Debug)]
struct Model {
    first: Linear,
    unused: Param<Tensor<1>>,
    second: Linear,
}

impl Model {
    fn new(seed: u64) -> Self {
        let device = device();
        let model = seeded(0, &device, |device| Self {
            first: LinearConfig::new(3, 5).init(device),
            unused: Param::from_tensor(Tensor::from_floats([1.0, 2.0], device)),
            second: LinearConfig::new(5, 2).init(device),
        });
        let lengths = [15, 5, 2, 10, 2];
        let start: Vec<_> = lengths.iter().zip(seed..).map(|(length, seed)| numbers(*length, seed)).collect();
        load_parameters(model, &start)
    }

    fn loss(&self, step: u64) -> Tensor<1> {
        let hidden = ops::linear_layer(&self.first, tensor(&numbers(12, 50 + step), [4, 3]), Activation::Tanh);
        let output = ops::linear_layer(&self.second, hidden, Activation::None);
        ops::mean_squared_error(output, tensor(&numbers(8, 150 + step), [4, 2]))
    }

    fn gradients(&self, step: u64) -> GradientsParams {
        GradientsParams::from_grads(self.loss(step).backward(), self)
    }

    /// The gradients as plain numbers; nothing where there is none.
    fn plain_gradients(&self, step: u64) -> Vec<Vec<f32>> {
        let mut gradients = self.gradients(step);
        vec![
            gradients.remove::<2>(self.first.weight.id).map(read).unwrap_or_default(),
            self.first.bias.as_ref().and_then(|bias| gradients.remove::<1>(bias.id)).map(read).unwrap_or_default(),
            gradients.remove::<1>(self.unused.id).map(read).unwrap_or_default(),
            gradients.remove::<2>(self.second.weight.id).map(read).unwrap_or_default(),
            self.second.bias.as_ref().and_then(|bias| gradients.remove::<1>(bias.id)).map(read).unwrap_or_default(),
        ]
    }

    fn numbers(&self) -> Vec<Vec<f32>> {
        pollster::block_on(parameters(self)).expect("the CPU does not fail")
    }
}

/// Adam in f64, as its paper writes it.
struct Reference {
    step: i32,
    moments: Vec<Vec<[f64; 2]>>,
}

impl Reference {
    fn step(&mut self, config: &AdamConfig, rate: f64, parameters: &mut [Vec<f64>], gradients: &[Vec<f32>]) {
        self.step += 1;
        let squares: f64 = gradients.iter().flatten().map(|g| f64::from(*g).powi(2)).sum();
        let scale = config.clip.map_or(1.0, |clip| (clip / (squares.sqrt() + 1e-6)).min(1.0));
        for ((parameter, gradient), moments) in parameters.iter_mut().zip(gradients).zip(&mut self.moments) {
            for ((x, g), [m, v]) in parameter.iter_mut().zip(gradient).zip(moments) {
                let g = f64::from(*g) * scale;
                *m = config.beta_1 * *m + (1.0 - config.beta_1) * g;
                *v = config.beta_2 * *v + (1.0 - config.beta_2) * g * g;
                let (mean, square) =
                    (*m / (1.0 - config.beta_1.powi(self.step)), *v / (1.0 - config.beta_2.powi(self.step)));
                *x -= rate * config.decay * *x + rate * mean / (square.sqrt() + config.epsilon);
            }
        }
    }
}

#[test]
fn adam_steps_as_its_paper_says() {
    let plain = AdamConfig::default();
    let other = AdamConfig { beta_1: 0.5, beta_2: 0.9, epsilon: 1e-3, decay: 0.1, clip: Some(0.05) };
    for config in [plain, other] {
        let (mut model, mut adam) = (Model::new(20), Adam::new(config.clone()));
        let widen = |numbers: Vec<f32>| -> Vec<f64> { numbers.into_iter().map(f64::from).collect() };
        let mut want: Vec<Vec<f64>> = model.numbers().into_iter().map(widen).collect();
        let moments = want.iter().map(|parameter| vec![[0.0; 2]; parameter.len()]).collect();
        let mut reference = Reference { step: 0, moments };
        for step in 0..10 {
            reference.step(&config, 0.01, &mut want, &model.plain_gradients(step));
            let gradients = model.gradients(step);
            model = adam.step(0.01, model, gradients);
        }
        for (got, want) in model.numbers().iter().zip(&want) {
            let want: Vec<f32> = want.iter().map(|x| *x as f32).collect();
            close("a parameter", got, &want, 1e-5);
        }
        assert_eq!(model.numbers()[2], Model::new(20).numbers()[2], "a parameter without a gradient stays");
    }
}

#[test]
fn gradient_descent_steps_as_it_says() {
    let mut model = Model::new(20);
    let rate = 0.5;
    let plain = Sgd { decay: 0.1, clip: None };
    for (step, sgd) in [(0, plain), (1, Sgd { clip: Some(0.05), ..plain })] {
        let (before, gradients) = (model.numbers(), model.plain_gradients(step));
        let square: f64 = gradients.iter().flatten().map(|g| f64::from(*g) * f64::from(*g)).sum();
        let scale = sgd.clip.map_or(1.0, |clip| (clip / (square.sqrt() + 1e-6)).min(1.0));
        let moved = model.gradients(step);
        model = sgd.step(rate, model, moved);
        for ((got, before), gradient) in model.numbers().iter().zip(before).zip(gradients) {
            let moved = before.iter().zip(gradient);
            let moved = moved.map(|(x, g)| f64::from(*x) * (1.0 - rate * 0.1) - rate * scale * f64::from(g));
            let want: Vec<f32> = moved.map(|x| x as f32).collect();
            // A parameter without a gradient is passed over.
            close("a parameter", got, if want.is_empty() { &before } else { &want }, 1e-6);
        }
    }
}

#[test]
fn a_saved_run_goes_on_as_if_it_had_not_stopped() {
    let config = AdamConfig { decay: 0.01, clip: Some(0.5), ..AdamConfig::default() };
    let (mut model, mut adam) = (Model::new(20), Adam::new(config.clone()));
    for step in 0..5 {
        let gradients = model.gradients(step);
        adam.step_on(0.01, &mut model, gradients);
    }
    let saved = |adam: &Adam| pollster::block_on(adam.state()).expect("the CPU does not fail");
    let state = saved(&adam);
    assert_eq!(state.step, 5);
    assert_eq!(state.moments.iter().map(|pair| pair[0].len()).collect::<Vec<_>>(), [15, 5, 0, 10, 2]);
    // A module built anew has other ids.
    let (mut again, mut resumed) = (load_parameters(Model::new(70), &model.numbers()), Adam::new(config));
    resumed.load(&state);
    assert_ne!(again.first.weight.id, model.first.weight.id);
    for step in 5..8 {
        let gradients = model.gradients(step);
        adam.step_on(0.01, &mut model, gradients);
        let gradients = again.gradients(step);
        resumed.step_on(0.01, &mut again, gradients);
    }
    assert_eq!(model.numbers(), again.numbers());
    assert_eq!(saved(&adam), saved(&resumed));
}

#[test]
fn a_copy_keeps_its_numbers_while_the_model_moves() {
    let (mut model, mut adam) = (Model::new(20), Adam::new(AdamConfig::default()));
    let (copy, before) = (model.clone(), model.numbers());
    let gradients = model.gradients(0);
    adam.step_on(0.1, &mut model, gradients);
    assert_eq!(copy.numbers(), before);
    assert_ne!(model.numbers(), before);
    assert!(model.first.weight.is_require_grad());
}

#[test]
fn training_below_a_checkpointing_tape() {
    let device = device().gradient_checkpointing();
    let weight = Tensor::from_data(TensorData::new(numbers(6, 1), [3, 2]), &device);
    let bias = Tensor::from_data(TensorData::new(numbers(2, 2), [2]), &device);
    let mut model = Linear { weight: Param::from_tensor(weight), bias: Some(Param::from_tensor(bias)) };
    let mut adam = Adam::new(AdamConfig::default());
    let input = || Tensor::<2>::from_data([[1.0, 2.0, 3.0]], &device);
    let loss = |model: &Linear| {
        let output = ops::linear_layer(model, input(), Activation::Tanh);
        ops::mean_squared_error(output, Tensor::zeros([1, 2], &device))
    };
    let before = read(loss(&model))[0];
    for _ in 0..3 {
        let gradients = GradientsParams::from_grads(loss(&model).backward(), &model);
        model = adam.step(0.01, model, gradients);
    }
    assert!(read(loss(&model))[0] < before);
}

#[test]
#[should_panic(expected = "parameter 1 of shape [5] got 4 numbers")]
fn parameters_of_another_shape_are_refused() {
    load_parameters(Model::new(20), &[numbers(15, 0), numbers(4, 0)]);
}

#[test]
#[should_panic(expected = "a module of 5 parameters got 6")]
fn parameters_of_another_module_are_refused() {
    let mut too_many = Model::new(20).numbers();
    too_many.push(vec![]);
    load_parameters(Model::new(20), &too_many);
}
