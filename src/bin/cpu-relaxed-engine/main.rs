//! The engine on the CPU with relaxed SIMD: a product and a sum in one instruction, where the processor has it. Faster,
//! and not the same in the last bits on every machine, so it runs only where somebody asks for it.

use burn::tensor::Device;

#[cfg(target_arch = "wasm32")]
#[global_allocator]
static ALLOCATOR: kernels::PoolAllocator = kernels::PoolAllocator::new(heads_and_tails::engine::out_of_memory);

fn main() {
    heads_and_tails::engine::run(async { Ok((Device::flex(), "CPU, relaxed SIMD".to_owned())) });
}
