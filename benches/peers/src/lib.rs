//! The works that this project and its peers are timed with: what goes in, and how ours does them.
//!
//! Apart from the product, which it uses as a lab would: nothing here is written for speed.

pub mod given;
mod nets;
pub mod operations;
pub mod works;
