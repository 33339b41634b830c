//! Caches from outside: what is read is what was meant, and whatever is wrong is said.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use heads_and_tails::drive::{Running, find};
use heads_and_tails::lab::{Body, Frame, LabError, Status, Values};
use heads_and_tails::labs::RUNNERS;
use heads_and_tails::mech::cache_file::{CacheFile, CacheFileError, MOST_BYTES, PairLayout, Rope};
use heads_and_tails::mech::kv_cache::LayerShape;
use pollster::block_on;
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use crate::site::host_with;

/// One of the small files that `own_cache.py` writes.
fn small(name: &str) -> Rc<[u8]> {
    std::fs::read(root().join("tests/data").join(name)).expect("it is committed").into()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// What numpy made of the same numbers.
fn expected(key: &str) -> Vec<f32> {
    let text = std::fs::read_to_string(root().join("tests/data/own-cache.json")).expect("it is committed");
    let all: serde_json::Value = serde_json::from_str(&text).expect("Python wrote it");
    all[key].as_array().expect("a list").iter().map(|number| number.as_f64().expect("a number") as f32).collect()
}

fn close(got: &[f32], want: &[f32], tolerance: f32) {
    assert_eq!(got.len(), want.len());
    for (at, (got, want)) in got.iter().zip(want).enumerate() {
        assert!((got - want).abs() <= tolerance, "{at}: {got}, and not {want}");
    }
}

fn start(bytes: &[u8], query: &str) -> Result<Box<dyn Running>, LabError> {
    let runner = find(RUNNERS, "kv-cache-own")?;
    let (values, problems) = Values::from_query(runner.specs, &format!("file=a.safetensors&{query}"));
    assert!(problems.is_empty(), "{problems:?}");
    block_on((runner.start)(&values, &host_with(bytes)))
}

/// The last frame of a file under these settings.
fn ended(bytes: &[u8], query: &str) -> Frame {
    let mut lab = start(bytes, query).expect("the file is good");
    while block_on(lab.step(&host_with(bytes))).expect("the file is good") == Status::Running {}
    lab.frame()
}

fn said(frame: &Frame, id: &str) -> String {
    frame.panels.iter().find(|panel| panel.id == id).expect("there is such a panel").spoken()
}

/// A file of `[layers, heads, tokens, 4]` in F32 that is good but for what is altered: by name, type and shape; and what
/// the header says.
struct Made {
    tensors: Vec<(&'static str, Dtype, Vec<usize>, Vec<u8>)>,
    about: Vec<(&'static str, &'static str)>,
}

impl Made {
    fn good() -> Self {
        let made = Self { tensors: vec![], about: vec![] };
        made.with("k", &[2, 2, 16, 4]).with("v", &[2, 2, 16, 4]).with("q", &[2, 4, 16, 4])
    }

    fn with(self, name: &'static str, shape: &[usize]) -> Self {
        let count: usize = shape.iter().product();
        let numbers: Vec<f32> = (0..count).map(|at| libm::sinf(at as f32 + name.len() as f32)).collect();
        self.with_numbers(name, shape, &numbers)
    }

    fn with_numbers(mut self, name: &'static str, shape: &[usize], numbers: &[f32]) -> Self {
        let bytes = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        self.tensors.retain(|(other, ..)| *other != name);
        self.tensors.push((name, Dtype::F32, shape.to_vec(), bytes));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.tensors.retain(|(other, ..)| *other != name);
        self
    }

    fn saying(mut self, about: &[(&'static str, &'static str)]) -> Self {
        self.about = about.to_vec();
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let views = self.tensors.iter().map(|(name, dtype, shape, bytes)| {
            (*name, TensorView::new(*dtype, shape.clone(), bytes).expect("the bytes fit the shape"))
        });
        let about = self.about.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect();
        safetensors::serialize(views, Some(about)).expect("it is small")
    }
}

/// The complaint about a file, in the words that a reader sees.
fn complaint(bytes: &[u8]) -> String {
    let told = start(bytes, "").err().expect("it is not good").to_string();
    let first = |file: &CacheFile| (0..file.layers).find_map(|layer| file.layer(layer).err());
    let found = match CacheFile::open(bytes.into()) {
        Ok(file) => first(&file).expect("it is not good"),
        Err(error) => error,
    };
    let found = found.to_string();
    assert!(told.starts_with(&found), "{told}");
    // What to do may stand behind it.
    let parsers = ["line ", "column ", "expected", "invalid"];
    assert!(parsers.iter().all(|word| !told.contains(word)), "a parser speaks: {told}");
    told
}

fn complaint_of(made: Made) -> String {
    complaint(&made.bytes())
}

#[test]
fn keys_of_numpy_are_read_and_turned() {
    let want = expected("keys");
    for (name, layout) in [
        ("own-cache.safetensors", PairLayout::HalfSplit),
        ("own-cache-interleaved.safetensors", PairLayout::Interleaved),
    ] {
        let file = CacheFile::open(small(name)).unwrap();
        assert_eq!(file.layers, 2);
        assert_eq!(file.shape, LayerShape { query_heads: 4, key_heads: 2, tokens: 24, d_head: 8 });
        assert!(matches!(file.rope, Rope::Before(rotary) if rotary.base == 500.0 && rotary.layout == layout));
        let keys: Vec<f32> = (0..2).flat_map(|layer| file.layer(layer).unwrap().keys).collect();
        close(&keys, &want, 1e-5);
    }
    let file = CacheFile::open(small("own-cache-after.safetensors")).unwrap();
    assert_eq!(file.rope, Rope::After(None));
    assert!(file.layer(0).unwrap().plain_keys.is_none() && file.has_attention() && !file.has_queries());
    close(&file.layer(1).unwrap().keys, &want[want.len() / 2..], 1e-6);
}

#[test]
fn both_pairings_of_one_cache_are_one_cache() {
    let [a, b] = ["own-cache.safetensors", "own-cache-interleaved.safetensors"].map(|name| {
        let file = CacheFile::open(small(name)).unwrap();
        [0, 1].map(|layer| file.layer(layer).unwrap())
    });
    assert!(a == b);
}

/// With queries, and with the attention alone: who loses tokens looks at the rest.
#[test]
fn errors_are_those_that_numpy_finds() {
    let mean = |list: Vec<f32>| f64::from(list.iter().sum::<f32>()) / list.len() as f64;
    for (name, tolerance) in [
        ("own-cache.safetensors", 1e-5),
        ("own-cache-interleaved.safetensors", 1e-5),
        ("own-cache-after.safetensors", 2e-3),
    ] {
        let readouts = ended(&small(name), "held_out=8&budget=4").readouts();
        let near = |key: &str, want: f64| {
            assert!((readouts[key] - want).abs() < tolerance, "{name}: {key}: {}, and not {want}", readouts[key]);
        };
        near("error_streaming", mean(expected("streaming")));
        near("sink", mean(expected("sink")));
        assert_eq!(readouts["rows_streaming"], 4.0);
        assert_eq!(readouts["bytes_streaming"], (2 * 2 * 4 * (2 * 2 * 8 + 4)) as f64);
    }
}

#[test]
fn a_whole_cache_costs_nothing_and_sixteen_bits_cost_nothing() {
    let readouts = ended(&small("own-cache.safetensors"), "keep=1").readouts();
    let errors: Vec<_> = readouts.iter().filter(|(key, _)| key.starts_with("error_")).collect();
    assert!(errors.len() > 20);
    let free = |key: &str| key == "error_full" || METHOD_KEYS.contains(&key);
    for (key, error) in errors.iter().filter(|(key, _)| free(key)) {
        assert!(**error < 1e-6, "{key}: {error}");
    }
}

const METHOD_KEYS: [&str; 5] = ["error_ems", "error_tova", "error_h2o", "error_key_diff", "error_random"];

#[test]
fn a_poor_file_runs_what_it_can_and_the_rest_says_why() {
    let poor = Made::good().without("q").bytes();
    let frame = ended(&poor, "");
    let methods = said(&frame, "methods");
    assert!(methods.contains("EMS, Global-Local") && methods.contains("need “q” or “attn”"), "{methods}");
    assert!(methods.contains("No error can be told"), "{methods}");
    let readouts = frame.readouts();
    assert!(readouts.contains_key("rows_key_diff") && !readouts.contains_key("rows_ems"));
    assert!(!readouts.contains_key("error_key_diff"));
    assert!(readouts.contains_key("key_error_kivi") && !readouts.contains_key("score_error_kivi"));
    let quantizers = said(&frame, "quantizers");
    assert!(
        quantizers.contains("RotateKV") && quantizers.contains("does not say how its keys were turned"),
        "{quantizers}"
    );
    assert!(!readouts.contains_key("key_error_rotatekv"));

    let attention = ended(&small("own-cache-after.safetensors"), "");
    assert!(said(&attention, "methods").contains("EMS change keys: what that costs needs “q”."));
    let readouts = attention.readouts();
    assert!(readouts.contains_key("rows_ems") && !readouts.contains_key("error_ems"));
    assert!(readouts.contains_key("error_global_local") && readouts.contains_key("error_press"));

    // The same turned keys with and without a word about how.
    let about = [("rope", "after"), ("rope_base", "10000"), ("rope_layout", "half-split")];
    assert!(ended(&Made::good().saying(&about).bytes(), "").readouts().contains_key("error_rotatekv"));
    assert!(ended(&Made::good().saying(&[("rope", "after")]).bytes(), "").readouts().contains_key("error_kivi"));
}

#[test]
fn one_layer_needs_no_dimension_for_it() {
    let made = Made::good().with("k", &[2, 16, 4]).with("v", &[2, 16, 4]).with("q", &[2, 16, 4]);
    let file = CacheFile::open(made.bytes().into()).unwrap();
    assert_eq!((file.layers, file.shape.query_heads), (1, 2));
    assert!(said(&ended(&made.bytes(), ""), "file").starts_with("Your file: 1 layer, 16 tokens."));
}

/// Heads of a size that no Walsh–Hadamard matrix has.
#[test]
fn heads_without_a_matrix_are_not_rotated() {
    let about = [("rope", "before"), ("rope_base", "10000"), ("rope_layout", "half-split")];
    let shape = [1, 2, 16, 10];
    let made = Made::good().with("k", &shape).with("v", &shape).with("q", &shape).saying(&about);
    let frame = ended(&made.bytes(), "");
    assert!(said(&frame, "quantizers").contains("no Walsh–Hadamard matrix"), "{}", said(&frame, "quantizers"));
    assert!(frame.readouts().contains_key("error_plain") && !frame.readouts().contains_key("error_quarot"));
}

#[test]
fn what_is_wrong_is_said_by_name_and_place() {
    let script = "Save a cache with the script of the text below, and drop that.";
    assert_eq!(complaint_of(Made::good().without("k")), format!("The file has no “k”; it holds “q”, “v”. {script}"));
    assert_eq!(complaint_of(Made::good().without("v")), format!("The file has no “v”; it holds “k”, “q”. {script}"));
    assert_eq!(
        complaint_of(Made::good().with("v", &[2, 2, 15, 4])),
        "“v” has the shape [2, 2, 15, 4]; it should be that of “k”, [2, 2, 16, 4]."
    );
    assert_eq!(
        complaint_of(Made::good().with("q", &[2, 3, 16, 4])),
        "“q” has the shape [2, 3, 16, 4]; it should be [2, 2, 16, 4], or with a multiple of the 2 heads."
    );
    assert_eq!(
        complaint_of(Made::good().with("q", &[2, 4, 17, 4])),
        "“q” has the shape [2, 4, 17, 4]; it should be of the tokens of “k”, [2, 4, 16, 4]."
    );
    assert!(complaint_of(Made::good().with("k", &[64, 4])).contains("[layers, heads, tokens, numbers]"));
    assert!(complaint_of(Made::good().with("k", &[2, 2, 16, 5])).contains("an even number of numbers"));
    let counted = |shape: &[usize]| complaint_of(Made::good().with("k", shape));
    assert_eq!(counted(&[2, 2, 7, 4]), "“k” has 7 tokens; 8 is the least. Save more tokens.");
    assert_eq!(counted(&[1, 1, 2049, 4]), "“k” has 2049 tokens; 2048 are the most. Save fewer tokens.");
    assert_eq!(counted(&[0, 2, 16, 4]), "“k” has 0 layers; 1 is the least. Save more layers.");
    let mut typed = Made::good();
    (typed.tensors[0].1, typed.tensors[0].2) = (Dtype::I32, vec![2, 2, 16, 4]);
    assert_eq!(complaint_of(typed), "“k” is of type I32; F16, BF16 and F32 can be read.");

    let mut numbers = vec![0.5; 256];
    numbers[2 * 64 + 64 + 3 * 4 + 1] = f32::NAN;
    let spoiled = Made::good().with_numbers("v", &[2, 2, 16, 4], &numbers);
    assert_eq!(complaint_of(spoiled), "“v” holds NaN at [1, 1, 3, 1].");
    numbers[3] = f32::NEG_INFINITY;
    assert_eq!(
        complaint_of(Made::good().with_numbers("v", &[2, 2, 16, 4], &numbers)),
        "“v” holds -inf at [0, 0, 0, 3]."
    );

    let rows = |first: f32, ahead: f32| -> Vec<f32> {
        let cell = |at: usize| match (at / 16 % 16, at % 16) {
            (5, 0) => first,
            (_, 0) => 1.0,
            (5, 6) => ahead,
            _ => 0.0,
        };
        (0..2 * 2 * 256).map(cell).collect()
    };
    let attention = |first, ahead| Made::good().without("q").with_numbers("attn", &[2, 2, 16, 16], &rows(first, ahead));
    assert!(CacheFile::open(attention(1.0, 0.0).bytes().into()).unwrap().layer(1).is_ok());
    assert_eq!(complaint_of(attention(0.5, 0.0)), "The row [0, 0, 5] of “attn” adds up to 0.500, and not to one.");
    assert_eq!(
        complaint_of(attention(1.0, 0.1)),
        "The row [0, 0, 5] of “attn” looks at tokens that come after its own."
    );
    assert_eq!(complaint_of(attention(-1.0, 0.0)), "The row [0, 0, 5] of “attn” holds a number below zero.");
    assert!(complaint_of(Made::good().with("attn", &[2, 2, 16, 16])).contains("of 4 heads, as “q” is"));
}

#[test]
fn what_the_header_says_must_make_sense() {
    let complaint = |about: &[(&'static str, &'static str)]| complaint_of(Made::good().saying(about));
    assert_eq!(
        complaint(&[("rope", "During")]),
        "“rope” in “__metadata__” is “During”; it should be “before” or “after”."
    );
    assert_eq!(
        complaint(&[("rope", "before")]),
        "“__metadata__” says “rope” and lacks “rope_base”, which is a number above one, such as “10000”."
    );
    for base in ["ten", "NaN", "inf", "1", "-5", ""] {
        assert!(complaint(&[("rope", "before"), ("rope_base", base)]).starts_with("“rope_base” in “__metadata__” is"));
    }
    assert!(complaint(&[("rope", "after"), ("rope_base", "10000")]).contains("lacks “rope_layout”"));
    let layout = [("rope", "before"), ("rope_base", "10000"), ("rope_layout", "neox")];
    assert!(complaint(&layout).ends_with("is “neox”; it should be “half-split” or “interleaved”."));
    // Without the first entry nobody asks for the others.
    assert!(CacheFile::open(Made::good().saying(&[("rope_base", "ten")]).bytes().into()).is_ok());
}

#[test]
fn what_is_no_safetensors_file_is_said_to_be_none() {
    let bytes = Made::good().bytes();
    let script = "Save a cache with the script of the text below, and drop that.";
    for foreign in [&b""[..], b"\x89PNG\r\n\x1a\n and so on", b"Once upon a time there was a cache.", &bytes[1..]] {
        assert_eq!(complaint(foreign), format!("This is not a safetensors file. {script}"));
    }
    let off = "This file is cut off: ";
    assert!(complaint(&bytes[..100]).starts_with(&format!("{off}its header should have ")));
    let cut = complaint(&bytes[..bytes.len() - 10]);
    assert_eq!(cut, format!("{off}4096 bytes of numbers should follow its header, and 4086 do. Copy it once more."));
    let longer = complaint(&[&bytes[..], b"more"].concat());
    assert_eq!(longer, "4100 bytes follow the header of this file, which describes 4096.");
    let headed = |header: &str| complaint(&[&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat());
    for unread in ["{", "{}}", "{\"k\": 1}", "{\"__metadata__\": {\"rope\": \"after\"}, \"k\": []}"] {
        assert!(headed(unread).ends_with(&format!("what tensors it holds and where. {script}")), "{}", headed(unread));
    }
    assert_eq!(
        headed("{\"__metadata__\": {\"rope\": \"before\", \"rope_base\": 10000}}"),
        "“rope_base” in the “__metadata__” of this file is 10000 without quotes. All entries there are texts: write it as \"10000\", in quotes."
    );
    let mut long = bytes.clone();
    long[2] = 0xff;
    assert!(complaint(&long).ends_with("1048576 are the most."), "{}", complaint(&long));
    let large = CacheFile::open(vec![0; MOST_BYTES + 1].into());
    assert_eq!(large.err(), Some(CacheFileError::Large { bytes: MOST_BYTES + 1 }));
}

/// The page shows the very script that the repository has.
#[test]
fn the_page_shows_the_script_as_it_is() {
    let script = std::fs::read_to_string(root().join("examples/save_cache.py")).unwrap();
    let prose = std::fs::read_to_string(root().join("src/labs/kv_cache/text/kv-cache-own.md")).unwrap();
    assert!(prose.contains(&format!("```python\n{script}```\n")), "kv-cache-own.md shows another script");
    assert!(script.lines().count() <= 24 && script.lines().all(|line| line.chars().count() <= 120));
}

/// A language model's cache through every method. `cargo xtask test --hosts` makes the file, and names it in `HT_REAL_CACHE`.
#[test]
fn a_real_cache_runs_through_every_method() {
    let Some(path) = std::env::var_os("HT_REAL_CACHE") else {
        eprintln!("skipped: `cargo xtask test --hosts` saves the cache of a language model and runs this");
        return;
    };
    let bytes = std::fs::read(path).expect("it was just saved");
    let frame = ended(&bytes, "window=16&bits=2");
    let readouts = frame.readouts();
    for panel in ["methods", "quantizers"] {
        let Body::Readouts(list) = &frame.panels.iter().find(|shown| shown.id == panel).unwrap().body else { panic!() };
        for key in list.iter().map(|readout| &readout.key).filter(|key| key.starts_with("error_")) {
            println!("{key:24}{:.3}", readouts[key]);
            assert!(readouts[key].is_finite());
        }
    }
    assert_eq!(readouts.keys().filter(|key| key.starts_with("rows_")).count(), 13);
    assert_eq!(readouts.keys().filter(|key| key.starts_with("score_error_")).count(), 11);
    // Token 0 carries the sinks.
    assert!(readouts["sink"] > 0.25, "{}", readouts["sink"]);
    assert!(readouts["error_window"] > readouts["error_streaming"]);
    // Every rung of the ladder helps at two bits.
    let rungs = ["plain", "rotated", "groups", "sorted", "clipped", "rotatekv"];
    let errors = rungs.map(|rung| readouts[&format!("error_{rung}")]);
    assert!(errors.is_sorted_by(|a, b| a > b), "{errors:?}");
    // Merging turns keys that are alike anyway, and costs more than it brings.
    assert!(readouts["error_ems"] > readouts["error_global_local"]);
}
