//! What every engine starts from: inputs and weights, the same seeded numbers for all.

use std::fs;
use std::io::Result;
use std::path::Path;

use burn::tensor::{Device, Int, Tensor, TensorData};
use heads_and_tails::seed::Stream;
use serde_json::json;

/// All works. Those that begin with `w6` are matrix products of the size in their name.
pub const WORKS: [&str; 9] = ["w1", "w2", "w3", "w4", "w5", "w6-64", "w6-128", "w6-256", "w6-512"];

/// Sizes of the transformer of `w3`.
pub mod w3 {
    pub const BATCH: usize = 16;
    pub const TOKENS: usize = 32;
    pub const VOCABULARY: usize = 16;
    pub const WIDTH: usize = 64;
    pub const HEADS: usize = 4;
    pub const LAYERS: usize = 2;
}

/// Sizes of the induction lab's network as its quick run has it, in `w4`.
pub mod w4 {
    pub const BATCH: usize = 64;
    pub const TOKENS: usize = 17;
    pub const WIDTH: usize = 64;
    pub const LABELS: usize = 32;
}

/// Sizes of the house transformer, which writes in `w5`.
pub mod w5 {
    pub const VOCABULARY: usize = 97;
    pub const WIDTH: usize = 64;
    pub const LAYERS: usize = 2;
    /// Tokens that are written, each from those before it.
    pub const WRITTEN: usize = 120;
}

/// The inputs and weights of one work.
#[derive(Clone, Debug)]
pub struct Given {
    /// How far a step of gradient descent goes; 0 where nothing is trained.
    pub rate: f64,
    arrays: Vec<Array>,
    stream: Stream,
}

#[derive(Clone, Debug)]
struct Array {
    name: String,
    shape: Vec<usize>,
    numbers: Numbers,
}

#[derive(Clone, Debug)]
enum Numbers {
    Real(Vec<f32>),
    Whole(Vec<i32>),
}

impl Given {
    /// That of a work; nothing for a name that no work has.
    pub fn of(work: &str) -> Option<Self> {
        let size = work.strip_prefix("w6-").and_then(|size| size.parse().ok());
        let rate = match work {
            "w1" | "w2" => 0.05,
            // At 0.05 the curves of all engines part soon after step 80.
            "w3" | "w4" => 0.02,
            _ => 0.0,
        };
        let mut given = Self { rate, arrays: Vec::new(), stream: Stream::new(0, work) };
        match work {
            "w1" => given.w1(),
            "w2" => given.w2(),
            "w3" => given.w3(),
            "w4" => given.w4(),
            "w5" => given.w5(),
            _ => given.w6(size?),
        }
        Some(given)
    }

    fn w1(&mut self) {
        self.uniform("x", &[128, 2], 1.0);
        let (x, _) = self.real("x");
        let y = x.chunks(2).map(|x| libm::sinf(3.0 * x[0]) * x[1]).collect();
        self.push("y", &[128, 1], Numbers::Real(y));
        self.layers(&[2, 16, 16, 1]);
    }

    fn w2(&mut self) {
        self.uniform("x", &[128, 784], 1.0);
        self.whole("y", &[128], 10);
        self.layers(&[784, 256, 128, 10]);
    }

    fn w3(&mut self) {
        use w3::{BATCH, LAYERS, TOKENS, VOCABULARY, WIDTH};
        // A rule that two tokens of three keep, so that there is something to learn.
        let mut sequences = [Vec::new(), Vec::new()];
        for _ in 0..BATCH {
            let mut token = self.stream.below(VOCABULARY);
            for _ in 0..TOKENS {
                sequences[0].push(token as i32);
                token = if self.stream.unit() < 0.67 {
                    (3 * token + 1) % VOCABULARY
                } else {
                    self.stream.below(VOCABULARY)
                };
                sequences[1].push(token as i32);
            }
        }
        let [tokens, next] = sequences;
        self.push("tokens", &[BATCH, TOKENS], Numbers::Whole(tokens));
        self.push("next", &[BATCH * TOKENS], Numbers::Whole(next));
        self.normal("embedding", &[VOCABULARY, WIDTH], 0.5);
        self.normal("position", &[TOKENS, WIDTH], 0.1);
        for layer in 0..LAYERS {
            self.norm(&format!("{layer}.norm1"), WIDTH);
            for name in ["query", "key", "value", "output"] {
                self.linear(&format!("{layer}.{name}"), WIDTH, WIDTH);
            }
            self.norm(&format!("{layer}.norm2"), WIDTH);
            self.linear(&format!("{layer}.up"), WIDTH, 4 * WIDTH);
            self.linear(&format!("{layer}.down"), 4 * WIDTH, WIDTH);
        }
        self.norm("norm", WIDTH);
        self.linear("head", WIDTH, VOCABULARY);
    }

    fn w4(&mut self) {
        use w4::{BATCH, LABELS, TOKENS, WIDTH};
        self.normal("x", &[BATCH, TOKENS, WIDTH], 0.18);
        self.whole("y", &[BATCH], LABELS);
        for head in ["first", "second"] {
            for name in ["query", "key", "value"] {
                self.normal(&format!("{head}.{name}"), &[WIDTH, WIDTH], 1.0 / (WIDTH as f64).sqrt());
            }
        }
        self.layers(&[WIDTH, 64, 64, 64, LABELS]);
    }

    fn w5(&mut self) {
        use w5::{LAYERS, VOCABULARY, WIDTH};
        self.normal("embedding", &[VOCABULARY, WIDTH], 0.5);
        let deviation = |from: usize| 1.0 / (from as f64).sqrt();
        for layer in 0..LAYERS {
            let named = |name: &str| format!("{layer}.{name}");
            self.constant(&named("norm1"), &[WIDTH], 1.0);
            self.constant(&named("smear"), &[WIDTH], 0.5);
            for name in ["query", "key", "value"] {
                self.normal(&named(&format!("{name}.weight")), &[WIDTH, WIDTH], deviation(WIDTH));
                self.uniform(&named(&format!("{name}.bias")), &[WIDTH], deviation(WIDTH));
            }
            self.normal(&named("output"), &[WIDTH, WIDTH], deviation(WIDTH) / 2.0);
            self.constant(&named("norm2"), &[WIDTH], 1.0);
            self.normal(&named("up"), &[WIDTH, 4 * WIDTH], deviation(WIDTH));
            self.normal(&named("down"), &[4 * WIDTH, WIDTH], deviation(4 * WIDTH) / 2.0);
        }
        self.constant("norm", &[WIDTH], 1.0);
        self.normal("head", &[WIDTH, VOCABULARY], deviation(WIDTH));
    }

    fn w6(&mut self, size: usize) {
        for name in ["a", "b"] {
            // Of one sign, or rounding would be all there is to compare.
            self.fill(name, &[size, size], Stream::unit);
        }
    }

    /// Linear layers of these widths, numbered, as PyTorch starts them.
    fn layers(&mut self, widths: &[usize]) {
        for (number, pair) in widths.windows(2).enumerate() {
            self.linear(&number.to_string(), pair[0], pair[1]);
        }
    }

    fn linear(&mut self, name: &str, from: usize, to: usize) {
        let most = 1.0 / (from as f64).sqrt();
        self.uniform(&format!("{name}.weight"), &[from, to], most);
        self.uniform(&format!("{name}.bias"), &[to], most);
    }

    fn norm(&mut self, name: &str, width: usize) {
        self.constant(&format!("{name}.scale"), &[width], 1.0);
        self.constant(&format!("{name}.shift"), &[width], 0.0);
    }

    fn uniform(&mut self, name: &str, shape: &[usize], most: f64) {
        self.fill(name, shape, |stream| stream.uniform(-most, most));
    }

    fn normal(&mut self, name: &str, shape: &[usize], deviation: f64) {
        self.fill(name, shape, |stream| stream.normal(0.0, deviation));
    }

    fn constant(&mut self, name: &str, shape: &[usize], value: f64) {
        self.fill(name, shape, |_| value);
    }

    fn fill(&mut self, name: &str, shape: &[usize], mut next: impl FnMut(&mut Stream) -> f64) {
        let numbers = (0..shape.iter().product()).map(|_| next(&mut self.stream) as f32).collect();
        self.push(name, shape, Numbers::Real(numbers));
    }

    fn whole(&mut self, name: &str, shape: &[usize], below: usize) {
        let numbers = (0..shape.iter().product()).map(|_| self.stream.below(below) as i32).collect();
        self.push(name, shape, Numbers::Whole(numbers));
    }

    fn push(&mut self, name: &str, shape: &[usize], numbers: Numbers) {
        self.arrays.push(Array { name: name.to_owned(), shape: shape.to_vec(), numbers });
    }

    fn array(&self, name: &str) -> &Array {
        self.arrays.iter().find(|array| array.name == name).unwrap_or_else(|| panic!("no array is called {name}"))
    }

    /// The numbers of an array, and its shape.
    pub fn real(&self, name: &str) -> (&[f32], &[usize]) {
        let array = self.array(name);
        let Numbers::Real(numbers) = &array.numbers else { panic!("{name} holds whole numbers") };
        (numbers, &array.shape)
    }

    /// What is trained, in the order in which the nets hold it.
    pub fn weights(&self) -> Vec<Vec<f32>> {
        let trained = self.arrays.iter().filter(|array| !["x", "y"].contains(&array.name.as_str()));
        let numbers = trained.filter_map(|array| match &array.numbers {
            Numbers::Real(numbers) => Some(numbers.clone()),
            Numbers::Whole(_) => None,
        });
        numbers.collect()
    }

    pub fn tensor<const D: usize>(&self, name: &str, device: &Device) -> Tensor<D> {
        let (numbers, shape) = self.real(name);
        Tensor::from_data(TensorData::new(numbers.to_vec(), shape.to_vec()), device)
    }

    pub fn whole_tensor<const D: usize>(&self, name: &str, device: &Device) -> Tensor<D, Int> {
        let array = self.array(name);
        let Numbers::Whole(numbers) = &array.numbers else { panic!("{name} holds no whole numbers") };
        Tensor::from_data(TensorData::new(numbers.clone(), array.shape.clone()), device)
    }

    /// Writes every number into `<work>.bin`, little-endian and of four bytes, and into `<work>.json` where each
    /// array begins, counted in numbers.
    ///
    /// # Errors
    ///
    /// When a file cannot be written.
    pub fn write(&self, work: &str, folder: &Path) -> Result<()> {
        let (mut bytes, mut arrays) = (Vec::new(), serde_json::Map::new());
        for Array { name, shape, numbers } in &self.arrays {
            let start = bytes.len() / 4;
            let kind = match numbers {
                Numbers::Real(numbers) => {
                    bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
                    "f32"
                }
                Numbers::Whole(numbers) => {
                    bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
                    "i32"
                }
            };
            arrays.insert(name.clone(), json!({ "type": kind, "shape": shape, "start": start }));
        }
        fs::create_dir_all(folder)?;
        fs::write(folder.join(format!("{work}.bin")), bytes)?;
        let manifest = json!({ "rate": self.rate, "arrays": arrays });
        fs::write(folder.join(format!("{work}.json")), format!("{manifest:#}\n"))
    }
}
