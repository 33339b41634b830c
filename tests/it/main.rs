#![expect(clippy::unwrap_used, reason = "a test that finds nothing to unwrap has failed")]

mod apart;
mod catalogue;
mod charts;
mod checkpoint;
mod claims;
mod compressing_decoder;
mod drive;
mod fourier;
mod fuzz;
mod golden;
mod guess;
#[expect(dead_code, reason = "the tests call what records a poster, and not the command line")]
#[path = "../../examples/headless.rs"]
mod headless;
mod house_transformer;
mod induction;
mod kv_cache;
mod long_context;
mod made_up;
mod ops;
mod own_cache;
mod own_model;
mod params;
mod quantizer;
mod recall_language;
mod recall_training;
mod replicas;
mod rule_search;
mod rule_search_figures;
mod seed;
mod sending;
mod site;
mod small_models;
mod tidy;
