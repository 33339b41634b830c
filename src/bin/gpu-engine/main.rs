//! The engine on WebGPU: a web worker with Burn's wgpu device.

use burn::tensor::Device;
use heads_and_tails::lab::LabError;

#[cfg(target_arch = "wasm32")]
#[global_allocator]
static ALLOCATOR: kernels::PoolAllocator = kernels::PoolAllocator::new();

fn main() {
    heads_and_tails::engine::run(async {
        let failed = |error: burn_wgpu::WgpuInitError| LabError::Device { message: error.to_string() };
        let (device, setup) = Device::wgpu_options().init_with_setup_async().await.map_err(failed)?;
        let adapter = setup.adapter.get_info();
        Ok((device, if adapter.name.is_empty() { "WebGPU".to_owned() } else { format!("WebGPU, {}", adapter.name) }))
    });
}
