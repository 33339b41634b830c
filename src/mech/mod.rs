//! What the papers invented: tensors or plain numbers in and out, one file or folder a mechanism.
//! Knows the fused kernels and the random streams, and nothing of labs, charts or pages.

pub mod adam;
pub mod cache_file;
pub mod checkpoint;
pub mod compressing_decoder;
pub mod density_metrics;
pub mod fourier_head;
pub mod gaussian_head;
pub mod house_transformer;
pub mod induction_head;
pub mod item_sequences;
pub mod kv_cache;
pub mod long_context;
pub mod long_decoder;
pub mod nested_logits;
pub mod ops;
pub mod perceptron;
pub mod quantizer;
pub mod rates;
pub mod recall_language;
pub mod recall_training;
pub mod replicas;
pub mod rule_search;
pub mod sgd;
pub mod tensor_file;
pub mod toy_densities;
pub mod value_bins;
pub mod word_training;
pub mod word_transformer;
