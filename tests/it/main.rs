mod charts;
mod fourier;
mod golden;
mod ops;
