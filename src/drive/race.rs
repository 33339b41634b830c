//! Which engine a lab runs on, and why.
//!
//! The race never moves a running run: a link stays one run. Its winner is what the next start takes.

use serde::{Deserialize, Serialize};

/// What the reader asks for, in the link as `engine=`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Engine {
    #[default]
    Auto,
    Cpu,
    /// The CPU with relaxed SIMD: faster, and not bit for bit the same on every machine.
    Relaxed,
    Gpu,
}

impl Engine {
    pub const ALL: &'static [Self] = &[Self::Auto, Self::Cpu, Self::Relaxed, Self::Gpu];

    pub fn value(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Cpu => "cpu",
            Self::Relaxed => "cpu-relaxed",
            Self::Gpu => "gpu",
        }
    }

    pub fn label(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Cpu => "CPU",
            Self::Relaxed => "CPU, relaxed",
            Self::Gpu => "GPU",
        }
    }

    pub fn named(value: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|engine| engine.value() == value)
    }
}

/// Some steps of one lab on one engine.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    pub steps: u32,
    pub milliseconds: f64,
}

impl Timing {
    pub fn rate(self) -> f64 {
        1000.0 * f64::from(self.steps) / self.milliseconds.max(1e-3)
    }

    fn text(self) -> String {
        format!("{} steps took {:.0} ms", self.steps, self.milliseconds)
    }
}

/// The faster engine, and the sentence that says why.
pub fn decide(cpu: Timing, gpu: Timing) -> (Engine, String) {
    let winner = if gpu.rate() > cpu.rate() { Engine::Gpu } else { Engine::Cpu };
    let (faster, slower) = if winner == Engine::Gpu { (gpu, cpu) } else { (cpu, gpu) };
    let times = faster.rate() / slower.rate();
    let reason = format!(
        "Timed on this very lab: {} on the CPU, {} on WebGPU. {} is {times:.1} times as fast here.",
        cpu.text(),
        gpu.text(),
        if winner == Engine::Gpu { "WebGPU" } else { "The CPU" },
    );
    (winner, reason)
}
