//! How a [`WordTransformer`] is trained: a step learns from some lines, each from one of its tokens on.

use burn::optim::GradientsParams;
use burn::prelude::*;

use super::adam::{Adam, AdamConfig};
use super::ops;
use super::rates::Rates;
use super::word_transformer::WordTransformer;

/// A training under way.
pub struct Training {
    pub net: WordTransformer,
    pub adam: Adam,
    /// Steps taken.
    pub step: u64,
    rates: Rates,
    device: Device,
}

impl Training {
    /// The device must have a tape, and the network lie there.
    pub fn new(net: WordTransformer, rates: Rates, device: &Device) -> Self {
        let config = AdamConfig { beta_2: 0.98, decay: 0.01, clip: Some(1.0), ..AdamConfig::default() };
        Self { net, adam: Adam::new(config), step: 0, rates, device: device.clone() }
    }

    pub fn is_over(&self) -> bool {
        self.step >= self.rates.steps
    }

    /// Takes a step; gives the mean loss of a learned token in nats.
    ///
    /// # Shapes
    ///
    /// - lines: tokens, and from which of them on each is learned
    /// - output `[1]`
    pub fn learn<'a>(&mut self, lines: impl IntoIterator<Item = (&'a [usize], usize)>) -> Tensor<1> {
        let lines: Vec<(&[usize], usize)> = lines.into_iter().collect();
        let length = lines.iter().map(|(tokens, _)| tokens.len() - 1).max().expect("a step learns from some line");
        let (mut input, mut asked, mut answers) = (vec![], vec![], vec![]);
        for (row, (tokens, from)) in lines.iter().enumerate() {
            let read = &tokens[..tokens.len() - 1];
            input.extend(read.iter().map(|&token| token as i32));
            input.resize((row + 1) * length, 0);
            asked.extend((*from..tokens.len()).map(|at| (row * length + at - 1) as i32));
            answers.extend(tokens[*from..].iter().map(|&token| token as i32));
        }
        let integers = |list: Vec<i32>| {
            let count = list.len();
            Tensor::<1, Int>::from_data(TensorData::new(list, [count]), &self.device)
        };
        let input = integers(input).reshape([lines.len(), length]);
        let logits = self.net.forward(input, integers(asked));
        let loss = ops::cross_entropy_with_indices(logits, integers(answers));
        let gradients = GradientsParams::from_grads(loss.backward(), &self.net);
        self.adam.step_on(self.rates.at(self.step), &mut self.net, gradients);
        self.step += 1;
        loss.inner()
    }
}
