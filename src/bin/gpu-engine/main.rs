//! The engine on WebGPU: a web worker with Burn's wgpu device.

use burn::tensor::Device;
use heads_and_tails::lab::LabError;

#[cfg(target_arch = "wasm32")]
#[global_allocator]
static ALLOCATOR: kernels::PoolAllocator = kernels::PoolAllocator::new(heads_and_tails::engine::out_of_memory);

fn main() {
    heads_and_tails::engine::run(async {
        let failed = |error: burn_wgpu::WgpuInitError| LabError::Device { message: error.to_string() };
        let (device, setup) = Device::wgpu_options().init_with_setup_async().await.map_err(failed)?;
        let name = Some(setup.adapter.get_info().name).filter(|name| !name.is_empty());
        // Browsers tell wgpu no name, but they do tell a script who made the adapter.
        let name = match name {
            Some(name) => Some(name),
            None => heads_and_tails::engine::adapter_name().await,
        };
        Ok((device, name.map_or("WebGPU".to_owned(), |name| format!("WebGPU, {name}"))))
    });
}
