//! Each fused operation beside the same made of Burn's primitives: forward and backward, at the sizes of `w3`.

use burn::tensor::{Device, Int, Tensor};
use heads_and_tails::mech::ops::{self, Activation, Elementary, Heads, Rotation, plain};
use heads_and_tails::seed::Stream;

use crate::given::w3::{BATCH, HEADS, TOKENS, WIDTH};
use crate::works::Work;

const ROWS: usize = BATCH * TOKENS;

/// Of all operands to a number.
type Function = Box<dyn Fn(&[Tensor<2>]) -> Tensor<1>>;

/// One operation on operands that stay the same.
struct Operation {
    operands: Vec<Tensor<2>>,
    f: Function,
}

impl Work for Operation {
    fn step(&mut self) {
        let _gradients = (self.f)(&self.operands).backward();
    }

    fn figures(&self) -> Vec<f64> {
        Vec::new()
    }
}

/// An operation by its name, or with `-plain` after it that of Burn; nothing for a name that none has.
pub fn start(name: &str) -> Option<Box<dyn Work>> {
    let (name, fused) = name.strip_suffix("-plain").map_or((name, true), |name| (name, false));
    let device = Device::flex().autodiff();
    let mut stream = Stream::new(0, name);
    let mut rows = |rows: usize, columns: usize| {
        let numbers: Vec<f32> = (0..rows * columns).map(|_| stream.normal(0.0, 1.0) as f32).collect();
        Tensor::<1>::from_data(numbers.as_slice(), &device).reshape([rows, columns]).detach().require_grad()
    };
    let activation = |activation: Activation| -> Function {
        let linear = if fused { ops::linear } else { plain::linear };
        Box::new(move |t| linear(t[0].clone(), t[1].clone(), row(&t[2]), activation).sum())
    };
    let layer = [(ROWS, WIDTH), (WIDTH, WIDTH), (1, WIDTH)];
    let classes: Vec<i32> = (0..ROWS).map(|row| (row % WIDTH) as i32).collect();
    let (shapes, f): (Vec<(usize, usize)>, Function) = match name {
        "product" => (
            layer[..2].to_vec(),
            match fused {
                true => Box::new(|t| ops::product(t[0].clone(), t[1].clone()).sum()),
                false => Box::new(|t| t[0].clone().matmul(t[1].clone()).sum()),
            },
        ),
        "linear" => (layer.to_vec(), activation(Activation::None)),
        "linear-relu" => (layer.to_vec(), activation(Activation::Relu)),
        "linear-tanh" => (layer.to_vec(), activation(Activation::Tanh)),
        "linear-gelu" => (layer.to_vec(), activation(Activation::Gelu)),
        "linear-silu" => (layer.to_vec(), activation(Activation::Silu)),
        "layer-norm" => {
            let norm = if fused { ops::layer_norm } else { plain::layer_norm };
            let shapes = vec![(ROWS, WIDTH), (1, WIDTH), (1, WIDTH)];
            (shapes, Box::new(move |t| norm(t[0].clone(), row(&t[1]), row(&t[2]), 1e-5).sum()))
        }
        "rms-norm" => {
            let norm = if fused { ops::rms_norm } else { plain::rms_norm };
            (vec![(ROWS, WIDTH), (1, WIDTH)], Box::new(move |t| norm(t[0].clone(), row(&t[1]), 1e-5).sum()))
        }
        "attention" => {
            let attention = if fused { ops::causal_attention } else { plain::causal_attention };
            let heads = Heads::each(HEADS);
            let f = move |t: &[Tensor<2>]| {
                attention(sequences(&t[0]), sequences(&t[1]), sequences(&t[2]), heads, 0.25).sum()
            };
            (vec![(ROWS, WIDTH); 3], Box::new(f))
        }
        "rotary" => {
            let rotate = if fused { ops::rotate } else { plain::rotate };
            let rotation = Rotation::new(0..TOKENS, WIDTH / HEADS, 10_000.0);
            (vec![(ROWS, WIDTH)], Box::new(move |t| rotate(sequences(&t[0]), &rotation).sum()))
        }
        "embedding" => {
            let embedding = if fused { ops::embedding } else { plain::embedding };
            let index = Tensor::<1, Int>::from_data(classes.as_slice(), &device).reshape([BATCH, TOKENS]);
            let f = move |t: &[Tensor<2>]| embedding(t[0].clone(), index.clone(), Some(t[1].clone())).sum();
            (vec![(WIDTH, WIDTH), (TOKENS, WIDTH)], Box::new(f))
        }
        "sum" => (
            vec![(ROWS, WIDTH); 2],
            match fused {
                true => Box::new(|t| ops::add(t[0].clone(), t[1].clone()).sum()),
                false => Box::new(|t| (t[0].clone() + t[1].clone()).sum()),
            },
        ),
        "softmax" => {
            let softmax = if fused { ops::softmax } else { plain::softmax };
            (vec![(ROWS, WIDTH)], Box::new(move |t| softmax(t[0].clone()).sum()))
        }
        "cross-entropy" => {
            let loss = if fused { ops::cross_entropy_with_indices } else { plain::cross_entropy_with_indices };
            let classes = Tensor::<1, Int>::from_data(classes.as_slice(), &device);
            (vec![(ROWS, WIDTH)], Box::new(move |t| loss(t[0].clone(), classes.clone())))
        }
        "exp" => (
            vec![(ROWS, WIDTH)],
            match fused {
                true => Box::new(|t| ops::exp(t[0].clone()).sum()),
                false => Box::new(|t| plain::elementary(t[0].clone(), Elementary::Exp).sum()),
            },
        ),
        _ => return None,
    };
    let operands = shapes.into_iter().map(|(height, width)| rows(height, width)).collect();
    Some(Box::new(Operation { operands, f }))
}

fn row(t: &Tensor<2>) -> Tensor<1> {
    let width = t.dims()[1];
    t.clone().reshape([width])
}

fn sequences(t: &Tensor<2>) -> Tensor<3> {
    t.clone().reshape([BATCH, TOKENS, WIDTH])
}
