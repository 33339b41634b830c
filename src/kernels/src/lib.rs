//! Fused operations on slices of `f32`: what a training step spends its time in.
//!
//! Apart from the rest because it alone is built for speed (the engine around it is built for size), and because
//! its SIMD and its allocator are the only `unsafe` of the project. Knows nothing of tensors, devices or gradients
//! as a tape sees them: plain numbers, shapes and strides go in, plain numbers come out.
//!
//! Every function adds in the same order on every machine, and no multiplication is fused with an addition, so a
//! browser and a native test get the same bits.

mod adam;
mod attention;
mod elementary;
mod embedding;
mod four;
mod gemm;
mod linear;
mod loss;
mod norm;
mod pool;
mod rotary;
mod sgd;

pub use adam::{AdamStep, adam};
pub use attention::{AttentionShape, attend, attend_spans, attention, attention_backward, attention_weights, scores};
pub use elementary::{
    add, divide, exp, ln, multiply, scale, sigmoid, silu, silu_slope, softplus, sum_of_squares, tanh,
};
pub use embedding::{embedding, embedding_backward};
pub use gemm::{Matrix, MatrixMut, add_product, product};
pub use linear::{Activation, column_sums, linear, through_activation};
pub use loss::{
    mean_squared_error, softmax, softmax_backward, softmax_cross_entropy, softmax_cross_entropy_with_indices,
};
pub use norm::{Norm, Normalized, norm, norm_backward};
pub use pool::PoolAllocator;
pub use rotary::rotate;
pub use sgd::{SgdStep, sgd};
