//! The engine on the CPU: a web worker with Burn's Flex device.

use burn::tensor::Device;

#[cfg(target_arch = "wasm32")]
#[global_allocator]
static ALLOCATOR: kernels::PoolAllocator = kernels::PoolAllocator::new(heads_and_tails::engine::out_of_memory);

fn main() {
    heads_and_tails::engine::run(async { Ok((Device::flex(), "CPU".to_owned())) });
}
