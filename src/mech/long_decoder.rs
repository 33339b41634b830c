//! A decoder that reads beyond the length that it was trained on, each head where a method says.
//!
//! Joins the blocks of a [`Decoder`] with a [`Layer`] each. To ask many questions about one text, read it once and
//! clone: the model itself is shared.

use std::sync::Arc;

use super::house_transformer::{Decoder, HouseTransformerConfig};
use super::long_context::{Hand, HeadShape, Layer, Look, Method, Phase};

/// See [`LongDecoder::new`].
#[derive(Clone, Debug)]
pub struct LongDecoder {
    decoder: Arc<Decoder>,
    layers: Vec<Layer>,
    /// The last token as each layer smears it, `[layers][width]`: that of the text, whether a head looks at it or not.
    before: Vec<Vec<f32>>,
}

/// One head that looked, for one token.
#[derive(Clone, Copy, Debug)]
pub struct Sight<'a> {
    pub layer: usize,
    /// Head of queries.
    pub head: usize,
    /// How many tokens stand before it.
    pub token: usize,
    pub look: &'a Look,
    /// How much it looked at each token of the look, `[keys]`.
    pub weights: &'a [f32],
}

impl LongDecoder {
    /// Has read nothing yet of a text that will have `length` tokens, with all that will be asked and answered: some
    /// methods squeeze positions by it, and cannot do so anew later. The decoder gives its parameters, and not what it
    /// remembers.
    pub fn new(decoder: Arc<Decoder>, method: Arc<dyn Method>, length: usize) -> Self {
        let &HouseTransformerConfig { width, layers, heads, key_heads, d_head, rotary_base, .. } = decoder.config();
        let shape = HeadShape { heads, key_heads, d_head };
        let layer = |index| Layer::new(method.clone(), index, shape, rotary_base, length);
        Self { layers: (0..layers).map(layer).collect(), before: vec![vec![0.0; width]; layers], decoder }
    }

    pub fn config(&self) -> &HouseTransformerConfig {
        self.decoder.config()
    }

    /// What each layer remembers.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// What is decided by hand for a head of queries, from the next token on.
    pub fn hand(&mut self, layer: usize, head: usize) -> &mut Hand {
        &mut self.layers[layer].hands[head]
    }

    /// Tokens that were read.
    pub fn tokens(&self) -> usize {
        self.layers.first().map_or(0, Layer::tokens)
    }

    /// Reads a prompt, or more of it, at once; gives the logits after each token.
    ///
    /// # Shapes
    ///
    /// - output `[tokens, vocabulary]`
    pub fn prompt(&mut self, tokens: &[usize]) -> Vec<f32> {
        self.prompt_observed(tokens, |_| {})
    }

    /// The same, and tells where each head looked, layer by layer, in each token by token.
    pub fn prompt_observed(&mut self, tokens: &[usize], observe: impl FnMut(Sight)) -> Vec<f32> {
        self.advance(tokens, Phase::Encode, observe)
    }

    /// Reads a token after a prompt; gives the logits of the next, `[vocabulary]`.
    pub fn read(&mut self, token: usize) -> Vec<f32> {
        self.read_observed(token, |_| {})
    }

    /// The same, and tells where each head looked, layer by layer.
    pub fn read_observed(&mut self, token: usize, observe: impl FnMut(Sight)) -> Vec<f32> {
        self.advance(&[token], Phase::Generate, observe)
    }

    fn advance(&mut self, tokens: &[usize], phase: Phase, mut observe: impl FnMut(Sight)) -> Vec<f32> {
        assert!(!tokens.is_empty(), "there is a token to read");
        let &HouseTransformerConfig { heads, key_heads, d_head, .. } = self.decoder.config();
        let mut x = self.decoder.embed(tokens);
        for (index, (layer, before)) in self.layers.iter_mut().zip(&mut self.before).enumerate() {
            let ([queries, keys, values], last) = self.decoder.project(index, &x, before);
            *before = last;
            let mut found = Vec::with_capacity(queries.len());
            let [keys, values] = [&keys, &values].map(|rows| rows.chunks_exact(key_heads * d_head));
            for ((query, key), value) in queries.chunks_exact(heads * d_head).zip(keys).zip(values) {
                let token = layer.tokens();
                found.extend(layer.read(phase, [query, key, value], |head, look, weights| {
                    observe(Sight { layer: index, head, token, look, weights });
                }));
            }
            self.decoder.finish(index, &mut x, &found);
        }
        self.decoder.logits(&x)
    }
}
