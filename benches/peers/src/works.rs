//! How ours does each work: with the operations and the optimizer that the labs use.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use heads_and_tails::mech::adam::load_parameters;
use heads_and_tails::mech::house_transformer::{Decoder, HouseTransformerConfig};
use heads_and_tails::mech::induction_head::{FirstHead, InductionNet, InductionNetConfig};
use heads_and_tails::mech::ops::{self, Activation};
use heads_and_tails::mech::sgd::Sgd;
use kernels::Matrix;

use crate::given::{Given, w4, w5};
use crate::nets::{Mlp, Transformer};
use crate::operations;

/// Something that is done again and again.
pub trait Work {
    fn step(&mut self);

    /// What all engines must agree on after the same number of steps: the loss of the last one, say.
    fn figures(&self) -> Vec<f64>;
}

/// A work at its start; nothing for a name that no work has.
pub fn start(work: &str) -> Option<Box<dyn Work>> {
    if let Some(operation) = work.strip_prefix("operation ") {
        return operations::start(operation);
    }
    let given = Given::of(work)?;
    let device = Device::flex().autodiff();
    let rows = |name: &str| given.tensor::<2>(name, &device);
    let classes = |name: &str| given.whole_tensor::<1>(name, &device);
    Some(match work {
        "w1" => {
            let (x, y) = (rows("x"), rows("y"));
            let loss = move |net: &Mlp| ops::mean_squared_error(net.forward(x.clone(), Activation::Tanh), y.clone());
            Training::start(&given, Mlp::new(&[2, 16, 16, 1], &device), loss)
        }
        "w2" => {
            let (x, y) = (rows("x"), classes("y"));
            let loss =
                move |net: &Mlp| ops::cross_entropy_with_indices(net.forward(x.clone(), Activation::Relu), y.clone());
            Training::start(&given, Mlp::new(&[784, 256, 128, 10], &device), loss)
        }
        "w3" => {
            let (tokens, next) = (given.whole_tensor::<2>("tokens", &device), classes("next"));
            let loss =
                move |net: &Transformer| ops::cross_entropy_with_indices(net.forward(tokens.clone()), next.clone());
            Training::start(&given, Transformer::new(&device), loss)
        }
        "w4" => {
            let (x, y) = (given.tensor::<3>("x", &device), classes("y"));
            let loss = move |net: &InductionNet| {
                ops::cross_entropy_with_indices(net.forward(x.clone(), FirstHead::Learned, true), y.clone())
            };
            Training::start(&given, InductionNetConfig::new(w4::WIDTH, w4::WIDTH, w4::LABELS).init(&device), loss)
        }
        "w5" => Box::new(Writing::new(&given)),
        _ if work.starts_with("w6") => Box::new(Product::new(&given)),
        _ => return None,
    })
}

/// Gradient descent on one batch.
struct Training<M, L> {
    rate: f64,
    /// There is none only while a step is taken.
    net: Option<M>,
    loss: L,
    last: Option<Tensor<1>>,
}

impl<M: Module + 'static, L: Fn(&M) -> Tensor<1> + 'static> Training<M, L> {
    /// From the weights that are given, whatever the net holds.
    fn start(given: &Given, net: M, loss: L) -> Box<dyn Work> {
        let net = load_parameters(net, &given.weights());
        Box::new(Self { rate: given.rate, net: Some(net), loss, last: None })
    }
}

impl<M: Module, L: Fn(&M) -> Tensor<1>> Work for Training<M, L> {
    fn step(&mut self) {
        let net = self.net.take().expect("a step ends with a net");
        let loss = (self.loss)(&net);
        let gradients = GradientsParams::from_grads(loss.backward(), &net);
        self.net = Some(Sgd::default().step(self.rate, net, gradients));
        self.last = Some(loss);
    }

    #[expect(clippy::disallowed_methods, reason = "on the CPU the number is at hand")]
    fn figures(&self) -> Vec<f64> {
        self.last.iter().map(|loss| f64::from(loss.clone().into_scalar::<f32>())).collect()
    }
}

/// The house transformer writes, token by token, whichever is likeliest.
struct Writing {
    decoder: Decoder,
    written: Vec<usize>,
}

impl Writing {
    fn new(given: &Given) -> Self {
        let config = HouseTransformerConfig::new(w5::VOCABULARY);
        Self { decoder: Decoder::new(config, given.weights()), written: Vec::new() }
    }
}

impl Work for Writing {
    fn step(&mut self) {
        self.decoder.clear();
        self.written.clear();
        let mut token = 0;
        for _ in 0..w5::WRITTEN {
            let logits = self.decoder.read(token);
            token = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap_or_default();
            self.written.push(token);
        }
    }

    fn figures(&self) -> Vec<f64> {
        self.written.iter().map(|&token| token as f64).collect()
    }
}

/// The product of two square matrices.
struct Product {
    size: usize,
    a: Vec<f32>,
    b: Vec<f32>,
    last: Vec<f32>,
}

impl Product {
    fn new(given: &Given) -> Self {
        let (a, shape) = given.real("a");
        let (b, _) = given.real("b");
        Self { size: shape[0], a: a.to_vec(), b: b.to_vec(), last: Vec::new() }
    }
}

impl Work for Product {
    fn step(&mut self) {
        let [a, b] = [&self.a, &self.b].map(|numbers| Matrix::new(numbers, self.size, self.size));
        self.last = kernels::product(a, b);
    }

    fn figures(&self) -> Vec<f64> {
        vec![self.last.iter().map(|&number| f64::from(number)).sum::<f64>() / self.last.len() as f64]
    }
}
