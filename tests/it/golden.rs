//! Vectors made by the papers' own code, read from the folder `GOLDEN_DIR` (by default `tests/golden`), so that the
//! same checks run on vectors that nobody has seen.
//!
//! A file belongs to the check whose name its own contains. What a check reads must be there: a missing field fails.

use std::collections::BTreeMap;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor, TensorData};
use heads_and_tails::lab::{read, seeded, tensor};
use heads_and_tails::mech::adam::load_parameters;
use heads_and_tails::mech::density_metrics::{
    Roughness, kl_divergence, mean, mean_bin, mode_bin, sample_deviation, squared_error,
};
use heads_and_tails::mech::fourier_head::{FourierHead, FourierHeadConfig, FourierSeries};
use heads_and_tails::mech::gaussian_head::{GaussianHeadConfig, GaussianMixture};
use heads_and_tails::mech::induction_head::{FirstHead, InductionNet, InductionNetConfig, Progress};
use heads_and_tails::mech::kv_cache::{
    Budget, Combine, Compressed, Compression, Ems, Fate, Layer, LayerShape, Rest, Score, Split, global_local,
    pyramid_budgets,
};
use heads_and_tails::mech::long_context::{
    Full, HeadShape, Interpolation, Layer as LongLayer, LongHeads, Method, Ntk, Phase, Window,
};
use heads_and_tails::mech::nested_logits::NestedLogits;
use heads_and_tails::mech::ops;
use heads_and_tails::mech::quantizer::{
    Affine, Fit, Origin, Orthogonal, Transform, ascending, fuse_output, largest_tokens, pack, sinks, walsh_hadamard,
};
use heads_and_tails::mech::toy_densities::ConditionalDensity;
use heads_and_tails::mech::value_bins::{MixedRange, MixedTokens, UniformTokens, bin_centers, bin_of, mean_scale};
use serde_json::Value;

#[path = "golden/rule_search.rs"]
mod rule_search;

/// Every mechanism with vectors: the file's name and what must hold for each of its cases. After a colon stands the list
/// of the cases, where a file has several, or nothing, where it is one case itself.
const CHECKS: &[(&str, fn(&Value))] = &[
    ("fourier-head-layer", fourier_head_layer),
    ("fourier-head-pdf-cdf", fourier_head_series),
    ("fourier-head-smoothness", roughness),
    ("fourier-head-gmm", gaussian_head),
    ("fourier-head-data", toy_densities),
    ("fourier-head-metrics", density_metrics),
    ("fourier-head-bins", value_bins),
    ("induction-net", induction_net),
    ("induction-reduced", nested_logits),
    ("ems-step", evict_then_merge),
    ("kv-baselines-scores", cache_scores),
    ("kv-baselines-scores:pyramidkv", layer_budgets),
    ("kv-baselines-quant:kivi", kivi),
    ("kv-baselines-quant:quarot_asym", quarot),
    ("rotatekv-fwht-fuse:fwht", fwht),
    ("rotatekv-fwht-fuse:fuse", fused_weights),
    ("rotatekv-pipeline", rotate_kv),
    ("rotatekv-sink", attention_sinks),
    ("longheads-attention", long_attention),
    ("link-rules", rule_search::rules),
    ("link-critic", rule_search::verdicts),
    ("link-search", rule_search::search),
    ("link-proposal-parse", rule_search::proposals),
    ("link-rule-language", rule_search::language),
    ("link-rule-menu:", rule_search::menu),
    ("link-kb:", rule_search::world),
];

#[test]
fn mechanisms_agree_with_the_papers_code() {
    let folder = std::env::var_os("GOLDEN_DIR").map_or_else(|| PathBuf::from("tests/golden"), PathBuf::from);
    // Relative to the package, wherever the test was started.
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();

    let (mut known, mut failed) = (0, vec![]);
    for file in files {
        let stem = file.file_stem().unwrap().to_string_lossy().into_owned();
        let Some(differ) = compare(&stem, &std::fs::read_to_string(&file).unwrap()) else {
            say(&format!("golden: {stem}: skipped, no mechanism here knows it"));
            continue;
        };
        known += 1;
        failed.extend(differ);
    }
    assert!(known > 0, "{}: no file that a mechanism knows", folder.display());
    assert!(failed.is_empty(), "these cases differ: {failed:?}");
}

/// Checks every case of a file, and gives those that differ; nothing if no mechanism here knows the file.
pub fn compare(stem: &str, text: &str) -> Option<Vec<String>> {
    let named = |&(name, check): &(&'static str, fn(&Value))| {
        let (file, list) = name.split_once(':').unwrap_or((name, "cases"));
        (file, list, check)
    };
    let known = || CHECKS.iter().map(named).filter(|(file, ..)| stem.contains(file));
    let (best, ..) = known().max_by_key(|(file, ..)| file.len())?;
    let vectors: Value = serde_json::from_str(text).unwrap();
    let (mut differ, mut all) = (vec![], 0);
    for (_, list, check) in known().filter(|(file, ..)| *file == best) {
        let listed = || vectors[list].as_array().unwrap_or_else(|| panic!("{stem}: no list of {list}")).as_slice();
        let cases = if list.is_empty() { std::slice::from_ref(&vectors) } else { listed() };
        assert!(!cases.is_empty(), "{stem}: no {list}");
        all += cases.len();
        for (index, case) in cases.iter().enumerate() {
            let name = case["name"].as_str().map_or_else(|| format!("{list} {index}"), str::to_owned);
            if catch_unwind(AssertUnwindSafe(|| check(case))).is_err() {
                differ.push(format!("{stem}: {name}"));
            }
        }
    }
    say(&format!("golden: {stem}: {} of {all} cases agree", all - differ.len()));
    Some(differ)
}

/// Past the test harness, which shows what a passing test prints to nobody.
#[expect(clippy::explicit_write, reason = "the harness captures what eprintln writes")]
fn say(line: &str) {
    writeln!(std::io::stderr(), "{line}").unwrap();
}

// What a case holds.

fn field<'a>(case: &'a Value, key: &str) -> &'a Value {
    case.get(key).unwrap_or_else(|| panic!("the case has no field {key:?}"))
}

fn number(case: &Value, key: &str) -> f64 {
    field(case, key).as_f64().unwrap_or_else(|| panic!("{key:?} is not a number"))
}

fn count(case: &Value, key: &str) -> usize {
    field(case, key).as_u64().unwrap_or_else(|| panic!("{key:?} is not a count")) as usize
}

/// All numbers of nested lists in reading order; null is NaN.
fn numbers(case: &Value, key: &str) -> Vec<f64> {
    fn collect(value: &Value, key: &str, into: &mut Vec<f64>) {
        match value {
            Value::Array(values) => values.iter().for_each(|value| collect(value, key, into)),
            Value::Null => into.push(f64::NAN),
            value => into.push(value.as_f64().unwrap_or_else(|| panic!("{key:?} holds {value}"))),
        }
    }
    let mut all = vec![];
    collect(field(case, key), key, &mut all);
    all
}

fn counts(case: &Value, key: &str) -> Vec<usize> {
    numbers(case, key).into_iter().map(|number| number as usize).collect()
}

fn singles(case: &Value, key: &str) -> Vec<f32> {
    numbers(case, key).into_iter().map(|number| number as f32).collect()
}

/// Rows of `length` numbers.
fn rows(case: &Value, key: &str, length: usize) -> Vec<Vec<f64>> {
    let all = numbers(case, key);
    assert!(length > 0 && all.len().is_multiple_of(length), "{key:?}: {} numbers in rows of {length}", all.len());
    all.chunks(length).map(<[f64]>::to_vec).collect()
}

// How near is near enough.

/// Relative to the number itself, plus a tenth of that relative to the largest beside it, because what a sum of large
/// numbers left small cannot be nearer; plus `absolute`.
fn near(what: &str, got: &[f64], want: &[f64], relative: f64, absolute: f64) {
    assert_eq!(got.len(), want.len(), "{what}: as many numbers");
    let peak = want.iter().fold(0.0_f64, |peak, number| peak.max(number.abs()));
    for (index, (got, want)) in got.iter().zip(want).enumerate() {
        let allowed = relative * (want.abs() + 0.1 * peak) + absolute;
        // Written so that NaN fails.
        assert!((got - want).abs() <= allowed, "{what}[{index}]: got {got}, want {want} (within {allowed:.1e})");
    }
}

fn plain<const D: usize>(values: Tensor<D>) -> Vec<f64> {
    pollster::block_on(read(values)).unwrap().into_iter().map(f64::from).collect()
}

fn transposed<T: Copy>(values: &[T], columns: usize) -> Vec<T> {
    (0..columns).flat_map(|column| values.iter().skip(column).step_by(columns).copied()).collect()
}

// The checks.

/// The paper's layer with its loss and gradients, in tensors and in plain numbers.
fn fourier_head_layer(case: &Value) {
    let (batch, d_input, bins) = (count(case, "batch"), count(case, "dim_input"), count(case, "dim_output"));
    let frequencies = count(case, "num_frequencies");
    let waves = frequencies + 1;
    let (values, gradients) = (1e-5, 1e-4);

    let device = Device::flex().autodiff();
    let config = FourierHeadConfig::new(d_input, bins, frequencies).with_epsilon(number(case, "const_inverse_softmax"));
    let mut head: FourierHead = seeded(0, &device, |device| config.init(device));
    let weight = transposed(&singles(case, "weight"), d_input);
    head.amplitudes.weight = Param::from_data(TensorData::new(weight, [d_input, 2 * waves]), &device);
    head.amplitudes.bias = Some(Param::from_data(TensorData::new(singles(case, "bias"), [2 * waves]), &device));
    let input = tensor(singles(case, "x"), [batch, d_input], &device).require_grad();

    let amplitudes = head.amplitudes(input.clone());
    near("linear_out", &plain(amplitudes.clone()), &numbers(case, "linear_out"), values, 0.0);
    let logits = head.forward(input.clone());
    near("logits", &plain(logits.clone()), &numbers(case, "logits"), values, 0.0);
    let softmax = plain(ops::softmax(logits.clone()));
    near("softmax_of_logits", &softmax, &numbers(case, "softmax_of_logits"), values, 0.0);

    let targets: Vec<i32> = counts(case, "targets").into_iter().map(|target| target as i32).collect();
    let targets = Tensor::<1, Int>::from_data(TensorData::new(targets, [batch]), &device);
    let cross_entropy = ops::cross_entropy_with_indices(logits, targets);
    near("cross_entropy", &plain(cross_entropy.clone()), &[number(case, "cross_entropy")], values, 0.0);
    let penalty = head.penalty(input.clone()) * number(case, "gamma");
    near("loss_regularization", &plain(penalty.clone()), &[number(case, "loss_regularization")], values, 0.0);
    let loss = cross_entropy + penalty;
    near("loss", &plain(loss.clone()), &[number(case, "loss")], values, 0.0);

    let back = loss.backward();
    let weight = plain(head.amplitudes.weight.val().grad(&back).expect("a gradient of the weight").transpose());
    near("grad_weight", &weight, &numbers(case, "grad_weight"), gradients, 0.0);
    let bias = head.amplitudes.bias.as_ref().expect("a bias").val();
    near("grad_bias", &plain(bias.grad(&back).expect("of the bias")), &numbers(case, "grad_bias"), gradients, 0.0);
    near("grad_x", &plain(input.grad(&back).expect("of the input")), &numbers(case, "grad_x"), gradients, 0.0);

    near("bin_centers", &bin_centers(bins), &numbers(case, "bin_centers"), values, 0.0);
    let series: Vec<FourierSeries> = rows(case, "linear_out", 2 * waves)
        .iter()
        .map(|row| FourierSeries::new(&row[..waves], &row[waves..]))
        .collect();
    let part = |part: usize| -> Vec<f64> {
        series.iter().flat_map(|series| series.coefficients().iter().map(move |c| c[part])).collect()
    };
    let normalized = |part: usize| -> Vec<f64> {
        series.iter().flat_map(|series| series.normalized_coefficients().map(move |c| c[part])).collect()
    };
    let density = |points: &[f64]| -> Vec<f64> {
        series.iter().flat_map(|series| points.iter().map(move |&point| series.density(point))).collect()
    };
    // An imaginary part may be zero but for rounding: it is as near as its real part is.
    let largest = part(0).into_iter().fold(0.0, f64::max);
    near("coef_re", &part(0), &numbers(case, "coef_re"), values, 0.0);
    near("coef_im", &part(1), &numbers(case, "coef_im"), values, 1e-6 * largest);
    near("coefn_re", &normalized(0), &numbers(case, "coefn_re"), values, 1e-6);
    near("coefn_im", &normalized(1), &numbers(case, "coefn_im"), values, 1e-6);
    near("pdf_at_bins", &density(&bin_centers(bins)), &numbers(case, "pdf_at_bins"), values, 0.0);
    near("pdf_at_grid", &density(&numbers(case, "pdf_grid")), &numbers(case, "pdf_at_grid"), values, 0.0);
    let pmf: Vec<f64> = series.iter().flat_map(|series| series.pmf(bins)).collect();
    near("pmf", &pmf, &numbers(case, "pmf"), values, 0.0);
    let penalties: Vec<f64> = series.iter().map(FourierSeries::penalty).collect();
    let penalty = number(case, "gamma") * mean(&penalties);
    near("loss_regularization", &[penalty], &[number(case, "loss_regularization")], values, 0.0);
}

/// The continuous density, its cumulative distribution and the inverse of that.
fn fourier_head_series(case: &Value) {
    let waves = count(case, "num_frequencies") + 1;
    let (re, im) = (rows(case, "a_re", waves), rows(case, "a_im", waves));
    assert_eq!((re.len(), im.len()), (count(case, "batch"), count(case, "batch")));
    let series: Vec<FourierSeries> = re.iter().zip(&im).map(|(re, im)| FourierSeries::new(re, im)).collect();
    let each = |at: &[f64], of: fn(&FourierSeries, f64) -> f64| -> Vec<f64> {
        series.iter().flat_map(|series| at.iter().map(move |&at| of(series, at))).collect()
    };
    let normalized = |part: usize| -> Vec<f64> {
        series.iter().flat_map(|series| series.normalized_coefficients().map(move |c| c[part])).collect()
    };
    let (z, u) = (numbers(case, "z"), numbers(case, "u"));
    near("coefn_re", &normalized(0), &numbers(case, "coefn_re"), 1e-6, 0.0);
    near("coefn_im", &normalized(1), &numbers(case, "coefn_im"), 1e-6, 0.0);
    // The card's tolerances, absolute: points and amplitudes are printed with eight digits, and a fast wave turns
    // that into more than a millionth of a small density.
    near("pdf", &each(&z, FourierSeries::density), &numbers(case, "pdf"), 1e-6, 1e-6);
    near("cdf", &each(&z, FourierSeries::cdf), &numbers(case, "cdf"), 1e-6, 1e-6);
    near("inverse_cdf", &each(&u, FourierSeries::inverse_cdf), &numbers(case, "inverse_cdf"), 1e-4, 1e-4);
}

/// The paper's smoothness metric.
fn roughness(case: &Value) {
    let pmf = numbers(case, "pmf");
    let roughness = Roughness::new(count(case, "m"));
    let got = roughness.discrepancies(&pmf);
    let want: BTreeMap<String, f64> =
        serde_json::from_value(field(case, "discrepancy_by_sigma").clone()).expect("a number for each width");
    assert!(!want.is_empty(), "no discrepancies");
    // What is printed with eight digits is no further from the truth than this.
    let printed = 1e-9;
    for (width, want) in want {
        let width: usize = width.parse().expect("a width in bins");
        near(&format!("discrepancy_by_sigma[{width}]"), &[got[width - 1]], &[want], 1e-6, printed);
    }
    near("smoothness", &[roughness.of(&pmf)], &[number(case, "smoothness")], 1e-6, printed);
}

/// The baseline head.
fn gaussian_head(case: &Value) {
    let (batch, d_input, bins) = (count(case, "batch"), count(case, "dim_input"), count(case, "dim_output"));
    let components = count(case, "num_gaussians");
    let device = Device::flex();
    let config = GaussianHeadConfig::new(d_input, bins, components);
    let mut head = seeded(0, &device, |device| config.init(device));
    let first = GaussianMixture::first_raw_deviation(bins);
    near("init_raw_std", &[first], &[number(case, "init_raw_std")], 1e-5, 0.0);
    let start = plain(head.mixture.raw_deviations.val());
    near("init_raw_std", &start, &vec![number(case, "init_raw_std"); components], 1e-5, 0.0);

    let weight = transposed(&singles(case, "mean_weight"), d_input);
    head.means.weight = Param::from_data(TensorData::new(weight, [d_input, components]), &device);
    head.means.bias = Some(Param::from_data(TensorData::new(singles(case, "mean_bias"), [components]), &device));
    head.mixture.raw_deviations =
        Param::from_data(TensorData::new(singles(case, "raw_stds"), [1, components]), &device);
    let input = tensor(singles(case, "x"), [batch, d_input], &device);
    near("means", &plain(head.means(input.clone())), &numbers(case, "means"), 1e-5, 0.0);
    near("stds", &plain(head.mixture.deviations()), &numbers(case, "stds"), 1e-5, 0.0);
    let logits = head.forward(input);
    near("logits", &plain(logits.clone()), &numbers(case, "logits"), 1e-5, 0.0);
    near("pmf", &plain(ops::softmax(logits)), &numbers(case, "pmf"), 1e-5, 0.0);
}

/// The truths of the synthetic data sets, and what turns a value into a class.
fn toy_densities(case: &Value) {
    let bins = count(case, "bins");
    let condition = [number(case, "u"), number(case, "v")];
    near("var", &[number(case, "var")], &[0.01], 1e-6, 0.0);
    near("bin_centers", &bin_centers(bins), &numbers(case, "bin_centers"), 1e-6, 0.0);
    for (key, data) in [
        ("gaussian_pmf", ConditionalDensity::Gaussian),
        ("gmm2_pmf", ConditionalDensity::TwoGaussians),
        ("beta_pmf", ConditionalDensity::SignedBeta),
    ] {
        let want = numbers(case, key);
        // The reference mirrors the bins above zero, which for an odd count are one too many.
        if data != ConditionalDensity::SignedBeta || bins.is_multiple_of(2) {
            near(key, &data.truth(condition, bins), &want, 1e-6, 1e-7);
        }
    }
    let (values, want) = (numbers(case, "quantize_in"), counts(case, "quantize_out"));
    assert_eq!(values.len(), want.len(), "a bin for each value");
    for (value, want) in values.into_iter().zip(want) {
        // A value is printed with eight digits: at an edge it may have been on the other side.
        let sides = [bin_of(value - 1e-8, bins), bin_of(value, bins), bin_of(value + 1e-8, bins)];
        assert!(sides.contains(&want), "{value} in bin {}, want {want}", sides[1]);
    }
}

/// What predictions are judged by.
fn density_metrics(case: &Value) {
    let bins = count(case, "m");
    let (predicted, truth) = (rows(case, "pred_pmf", bins), rows(case, "true_pmf", bins));
    let labels = counts(case, "labels");
    assert_eq!([predicted.len(), truth.len(), labels.len()], [count(case, "n"); 3]);
    let divergences: Vec<f64> = truth.iter().zip(&predicted).map(|(t, p)| kl_divergence(t, p)).collect();
    near("kl", &[mean(&divergences)], &[number(case, "kl")], 1e-6, 0.0);
    let errors = |of: fn(&[f64]) -> usize| -> Vec<f64> {
        predicted.iter().zip(&labels).map(|(p, &label)| squared_error(of(p), label, bins)).collect()
    };
    near("mse_argmax", &[mean(&errors(mode_bin))], &[number(case, "mse_argmax")], 1e-6, 0.0);
    near("mse_mean", &[mean(&errors(mean_bin))], &[number(case, "mse_mean")], 1e-6, 0.0);
    let roughness = Roughness::new(bins);
    let each: Vec<f64> = predicted.iter().map(|pmf| roughness.of(pmf)).collect();
    near("smoothness_mean", &[mean(&each)], &[number(case, "smoothness_mean")], 1e-6, 0.0);
    near("smoothness_std", &[sample_deviation(&each)], &[number(case, "smoothness_std")], 1e-6, 0.0);
}

/// The token ids of the paper's forecaster.
fn value_bins(case: &Value) {
    let (tokens, special) = (count(case, "n_tokens"), count(case, "n_special_tokens"));
    let padding = count(case, "pad_token_id");
    let range = MixedRange {
        low: number(case, "low_limit"),
        middle_low: number(case, "mid_limit_1"),
        middle_high: number(case, "mid_limit_2"),
        high: number(case, "high_limit"),
        sparse: number(case, "sparse_bin_density"),
    };
    let split = ["mixed_sparse_tokens1", "mixed_dense_tokens", "mixed_sparse_tokens2"].map(|key| count(case, key));
    assert_eq!(range.split(tokens), split);
    let uniform = UniformTokens::new(range.low as f32, range.high as f32, tokens, special);
    let mixed = MixedTokens::new(range, tokens, special);
    let wide = |values: &[f32]| -> Vec<f64> { values.iter().copied().map(f64::from).collect() };
    near("uniform_centers", &wide(uniform.centers()), &numbers(case, "uniform_centers"), 1e-5, 0.0);
    near("mixed_centers", &wide(mixed.centers()), &numbers(case, "mixed_centers"), 1e-5, 0.0);

    let scales = numbers(case, "scale");
    let context = singles(case, "context");
    assert!(!scales.is_empty() && context.len().is_multiple_of(scales.len()), "a scale for each series");
    let length = context.len() / scales.len();
    let mask = field(case, "attention_mask").as_array().expect("a mask for each series");
    let mask: Vec<bool> = mask.iter().flat_map(|row| row.as_array().unwrap()).map(|m| m.as_bool().unwrap()).collect();
    let (uniform_ids, mixed_ids) = (counts(case, "uniform_token_ids"), counts(case, "mixed_token_ids"));
    let decoded = numbers(case, "uniform_decoded");
    assert_eq!([mask.len(), uniform_ids.len(), mixed_ids.len(), decoded.len()], [context.len(); 4]);
    for (row, (series, want)) in context.chunks(length).zip(&scales).enumerate() {
        let scale = mean_scale(series);
        near("scale", &[f64::from(scale)], &[*want], 1e-5, 0.0);
        for (column, &value) in series.iter().enumerate() {
            let at = row * length + column;
            assert_eq!(!value.is_nan(), mask[at], "attention_mask[{row}][{column}]");
            let scaled = value / scale;
            let same = |what: &str, got: usize, want: usize, boundaries: &[f32]| {
                let got = if value.is_nan() { padding } else { got };
                let open = boundaries.iter().any(|boundary| (boundary - scaled).abs() <= 1e-5);
                assert!(got == want || open && got.abs_diff(want) == 1, "{what}[{row}][{column}]: {got}, want {want}");
            };
            same("uniform_token_ids", uniform.id(scaled), uniform_ids[at], uniform.boundaries());
            same("mixed_token_ids", mixed.id(scaled), mixed_ids[at], &mixed.boundaries());
            let value = uniform.value(uniform_ids[at]) * scale;
            near("uniform_decoded", &[f64::from(value)], &[decoded[at]], 1e-5, 1e-5);
        }
    }
}

/// The weights of a case in the order in which the network shows its parameters, with their names.
fn induction_weights(weights: &Value, width: usize, d_hidden: usize) -> Vec<(String, Vec<f32>)> {
    let attention = ["q1", "k1", "v1", "q2", "k2", "v2"].map(|key| (key.to_owned(), singles(weights, key)));
    let classifier = (0..4).flat_map(|layer| {
        let (weight, bias) = (format!("mlp{layer}_weight"), format!("mlp{layer}_bias"));
        let d_input = if layer == 0 { width } else { d_hidden };
        let turned = transposed(&singles(weights, &weight), d_input);
        [(weight, turned), (bias.clone(), singles(weights, &bias))]
    });
    attention.into_iter().chain(classifier).collect()
}

/// The gradient of each parameter, in the order in which the network shows them.
struct InOrder<'a>(&'a GradientsParams, Vec<Vec<f64>>);

impl ModuleVisitor for InOrder<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.1.push(plain(self.0.get::<D>(param.id).expect("every parameter has a gradient")));
    }
}

/// Both attention layers, the classifier, all gradients, and the measures of progress.
fn induction_net(case: &Value) {
    let (batch, tokens, width) = (count(case, "batch"), count(case, "tokens"), count(case, "width"));
    let (d_hidden, labels, pairs) = (count(case, "mlp_width"), count(case, "labels"), count(case, "pairs"));
    assert_eq!((tokens, width), (2 * pairs + 1, count(case, "position_dim") + count(case, "item_dim")));
    let expected = field(case, "expected");
    let (values, gradients) = (1e-5, 1e-4);

    let device = Device::flex().autodiff();
    let config = InductionNetConfig::new(width, d_hidden, labels);
    let net: InductionNet = seeded(0, &device, |device| config.init(device));
    let weights = induction_weights(field(case, "weights"), width, d_hidden);
    let numbers_alone: Vec<Vec<f32>> = weights.iter().map(|(_, weight)| weight.clone()).collect();
    let net = load_parameters(net, &numbers_alone);
    let input = tensor(singles(case, "x"), [batch, tokens, width], &device);

    let look = net.look(input.clone(), FirstHead::Learned, true, true);
    let logits = net.forward(input, FirstHead::Learned, true);
    assert_eq!(plain(look.logits), plain(logits.clone()));
    near("logits", &plain(logits.clone()), &numbers(expected, "logits"), values, 0.0);
    let (first, second) = (plain(look.first), plain(look.second));
    near("attention1", &first, &numbers(expected, "attention1"), values, 0.0);
    near("attention2", &second, &numbers(expected, "attention2"), values, 0.0);

    let answers = counts(case, "target_labels");
    let index: Vec<i32> = answers.iter().map(|&label| label as i32).collect();
    let index = Tensor::<1, Int>::from_data(TensorData::new(index, [batch]), &device);
    let loss = ops::cross_entropy_with_indices(logits.clone(), index);
    near("loss", &plain(loss.clone()), &[number(expected, "loss")], values, 0.0);
    let found = GradientsParams::from_grads(loss.backward(), &net);
    let mut in_order = InOrder(&found, vec![]);
    net.visit(&mut in_order);
    let wanted = induction_weights(field(expected, "gradients"), width, d_hidden);
    assert_eq!(in_order.1.len(), wanted.len());
    for (found, (name, wanted)) in in_order.1.iter().zip(wanted) {
        let wanted: Vec<f64> = wanted.into_iter().map(f64::from).collect();
        near(&name, found, &wanted, gradients, 1e-9);
    }

    let context: Vec<Vec<usize>> = rows(case, "context_labels", pairs)
        .into_iter()
        .map(|row| row.into_iter().map(|l| l as usize).collect())
        .collect();
    let context: Vec<&[usize]> = context.iter().map(Vec::as_slice).collect();
    let single = |all: &[f64]| -> Vec<f32> { all.iter().map(|&number| number as f32).collect() };
    let last: Vec<f32> = second.chunks(tokens * tokens).flat_map(|map| single(&map[tokens * (tokens - 1)..])).collect();
    let progress = Progress::of(&context, &answers, &single(&plain(logits)), &single(&first), &last);
    for (name, got) in [
        ("item_label_attention_1", progress.item_label_1),
        ("target_label_attention_2", progress.target_label_2),
        ("target_all_labels_attention_2", progress.all_labels_2),
        ("context_label_mass", progress.context_label_mass),
    ] {
        near(name, &[got], &[number(expected, name)], values, 0.0);
    }
}

/// The three numbers at some points, and on their way.
fn nested_logits(case: &Value) {
    let model = NestedLogits { pairs: count(case, "pairs"), labels: count(case, "labels") };
    let expected = field(case, "expected");
    let list = |key: &str| field(expected, key).as_array().unwrap_or_else(|| panic!("{key:?} is not a list"));
    let logits = |point: &Value| ["beta1", "alpha", "xi"].map(|key| number(point, key));
    for point in list("points") {
        let read = model.read(logits(point));
        near("layer1", &[read.layer_1], &[number(point, "layer1")], 1e-9, 1e-12);
        near("layer2", &[read.layer_2], &[number(point, "layer2")], 1e-9, 1e-12);
        near("p_correct", &[read.correct], &[number(point, "p_correct")], 1e-9, 1e-12);
        let mass = number(point, "context_label_mass");
        near("context_label_mass", &[read.context_label_mass], &[mass], 1e-9, 1e-12);
        near("gradient", &read.gradient, &numbers(point, "gradient"), 1e-9, 1e-12);
    }
    let (mut at, mut step): ([f64; 3], _) = (numbers(case, "init").try_into().expect("three numbers"), 0);
    for point in list("trajectory") {
        while step < count(point, "step") {
            at = model.flow(at, number(case, "dt"));
            step += 1;
        }
        near("logits", &at, &logits(point), 1e-9, 1e-12);
        let read = model.read(at);
        near("layer1", &[read.layer_1], &[number(point, "layer1")], 1e-9, 1e-12);
        near("layer2", &[read.layer_2], &[number(point, "layer2")], 1e-9, 1e-12);
        near("loss", &[read.loss], &[number(point, "loss")], 1e-9, 1e-12);
        let mass = number(point, "context_label_mass");
        near("context_label_mass", &[read.context_label_mass], &[mass], 1e-9, 1e-12);
    }
    assert_eq!(step, count(case, "steps"), "the trajectory goes to the end");
}

/// A layer from what a case holds of it: as many heads as its numbers are enough for.
fn cache_layer(case: &Value, tokens: usize, d_head: usize) -> Layer {
    let (attention, keys, values) = (singles(case, "attentions"), singles(case, "keys"), singles(case, "values"));
    let heads = |numbers: &[f32], of_one: usize| {
        assert!(numbers.len().is_multiple_of(of_one), "{} numbers in heads of {of_one}", numbers.len());
        numbers.len() / of_one
    };
    let query_heads = heads(&attention, tokens * tokens);
    let shape = LayerShape { query_heads, key_heads: heads(&keys, tokens * d_head), tokens, d_head };
    Layer::after_prompt(0, shape, &attention, [&keys, &values], tokens)
}

fn flat<T: Copy + Into<f64>>(rows: impl IntoIterator<Item = Vec<T>>) -> Vec<f64> {
    rows.into_iter().flatten().map(Into::into).collect()
}

/// Indices of all heads, one after another.
fn kept_by_head(compressed: &Compressed) -> Vec<usize> {
    compressed.traces.iter().flat_map(|trace| trace.kept.clone()).collect()
}

/// One step of EMS over a whole prompt.
fn evict_then_merge(case: &Value) {
    let (tokens, budget, window) = (count(case, "T"), count(case, "budget"), count(case, "window"));
    let layer = cache_layer(case, tokens, count(case, "d"));
    assert_eq!(layer.heads.len(), count(case, "H"));
    let expected = field(case, "expected");
    let same = |key: &str, got: Vec<f64>| near(key, &got, &numbers(expected, key), 0.0, 1e-5);

    let both: Vec<_> = layer.heads.iter().map(|head| global_local(head, window)).collect();
    same("score_global_aligned", flat(both.iter().map(|scores| scores.aligned.clone())));
    same("score_local", flat(both.iter().map(|scores| scores.local.clone())));
    same("score", flat(both.iter().map(|scores| scores.combined(Combine::Max))));

    let ems = Ems { mass: number(case, "p_mass"), threshold: number(case, "tau"), ..Ems::default() };
    let score = Score::GlobalLocal { window, combine: Combine::Max };
    let compressed = Compression { score, split: Split::Uniform, rest: Rest::Ems(ems) }.apply(&layer, budget);
    let before_window = |trace: usize| &compressed.traces[trace].fates[..tokens - window];
    let fates: Vec<Fate> = (0..layer.heads.len()).flat_map(before_window).copied().collect();
    let label = |fate: &Fate| match fate {
        Fate::Evicted => 0,
        Fate::Kept => 1,
        Fate::Merged(_) => 2,
        Fate::ZeroClass => 3,
        Fate::Spread => panic!("EMS spreads nothing"),
    };
    assert_eq!(fates.iter().map(label).collect::<Vec<_>>(), counts(expected, "label"));
    let center = |fate: &Fate| if let Fate::Merged(center) = fate { *center as f64 } else { -1.0 };
    assert_eq!(fates.iter().map(center).collect::<Vec<_>>(), numbers(expected, "centre"));

    let (want, mut got) = (numbers(expected, "best_redundancy"), vec![]);
    for trace in &compressed.traces {
        got.extend_from_slice(&trace.similarity[..tokens - window]);
    }
    assert_eq!(got.len(), want.len(), "best_redundancy");
    for (got, want) in got.iter().zip(&want) {
        assert_eq!(got.is_none(), want.is_nan(), "best_redundancy: got {got:?}, want {want}");
        near("best_redundancy", &[got.unwrap_or(0.0)], &[if want.is_nan() { 0.0 } else { *want }], 0.0, 1e-5);
    }
    assert_eq!(kept_by_head(&compressed), counts(expected, "kept"));
    same("keys_kept", flat(compressed.layer.heads.iter().map(|head| head.cache.keys.clone())));
    same("values_kept", flat(compressed.layer.heads.iter().map(|head| head.cache.values.clone())));
}

/// The scores of kvpress, what they keep, AdaKV's shares, its merging, and keys that are turned to new places.
fn cache_scores(case: &Value) {
    let shapes = field(case, "shapes");
    let [batch, query_heads, key_heads, tokens, d_head] = ["B", "Hq", "Hkv", "T", "d"].map(|key| count(shapes, key));
    assert_eq!(batch, 1, "the protected tokens of one text do not depend on another");
    let layer = cache_layer(case, tokens, d_head);
    assert_eq!(layer.heads.len(), key_heads);
    assert_eq!(singles(case, "attentions").len(), query_heads * tokens * tokens);
    let kept = count(case, "n_kept");
    assert_eq!(Budget::Removed(number(case, "compression_ratio")).of(tokens), kept);

    let expected = field(case, "expected");
    let snap = field(case, "snapkv");
    let snap = Score::SnapKv { window: count(snap, "window_size"), kernel: count(snap, "kernel_size") };
    for (name, score) in [
        ("observed_attention", Score::ObservedAttention),
        ("snapkv", snap),
        ("tova", Score::Tova),
        ("streaming_llm", Score::StreamingLlm { sinks: count(case, "streaming_n_sink") }),
        ("knorm", Score::Knorm),
        ("keydiff", Score::KeyDiff),
    ] {
        let want = field(expected, name);
        let scores = score.of(&layer, kept);
        near(name, &flat(scores.iter().map(|head| head.scores.clone())), &numbers(want, "scores"), 0.0, 1e-5);
        let best: Vec<usize> = scores.iter().flat_map(|head| head.best(kept)).collect();
        assert_eq!(best, counts(want, "kept_sorted"), "{name}");
    }

    let with = |split: Split, rest: Rest| Compression { score: snap, split, rest }.apply(&layer, kept);
    let want = field(expected, "adakv_snapkv");
    let ada = with(Split::Ada { safeguard: number(want, "alpha_safeguard") }, Rest::Drop);
    let mask = |fate: &Fate| usize::from(*fate == Fate::Kept);
    let mask: Vec<usize> = ada.traces.iter().flat_map(|trace| trace.fates.iter().map(mask)).collect();
    assert_eq!(mask, counts(want, "kept_mask"));

    let merged = expected.as_object().expect("names").iter();
    let merged: Vec<_> = merged.filter_map(|(name, want)| Some((name.strip_prefix("merging_snapkv")?, want))).collect();
    assert!(!merged.is_empty(), "no merging");
    for (threshold, want) in merged {
        let threshold = threshold.strip_prefix("_thr").map_or(0.0, |threshold| threshold.parse().expect("a number"));
        let pressed = with(Split::Uniform, Rest::MergingPress { threshold });
        if want.get("kept_sorted").is_some() {
            assert_eq!(kept_by_head(&pressed), counts(want, "kept_sorted"));
        }
        let values = flat(pressed.layer.heads.iter().map(|head| head.cache.values.clone()));
        near("values_at_kept", &values, &numbers(want, "values_at_kept"), 0.0, 1e-5);
    }

    let mut turned = with(Split::Uniform, Rest::Drop).layer;
    turned.renumber(&numbers(case, "inv_freq"));
    let keys = flat(turned.heads.iter().map(|head| head.cache.keys.clone()));
    near("rerotated_keys_snapkv", &keys, &numbers(expected, "rerotated_keys_snapkv"), 0.0, 1e-5);
}

/// What PyramidKV gives to each layer.
fn layer_budgets(case: &Value) {
    let (layers, tokens, window) = (count(case, "num_layers"), count(case, "T"), count(case, "window_size"));
    let mean = tokens as f64 * (1.0 - number(case, "compression_ratio"));
    let budgets = pyramid_budgets(mean, tokens, layers, window, number(case, "beta"));
    assert_eq!(budgets, counts(case, "budgets"));
}

/// How far numbers of the quantizers may be from those of the papers' code, absolutely.
const ROUNDING: f64 = 2e-5;

/// Whether rounding is undecided: the papers' code divided the same numbers in another order.
fn is_tie(number: f32) -> bool {
    (number.abs().fract() - 0.5).abs() < 1e-4
}

/// Numbers of the innermost lists of a field.
fn columns(case: &Value, key: &str) -> usize {
    fn innermost(list: &[Value]) -> usize {
        list[0].as_array().map_or(list.len(), |inner| innermost(inner))
    }
    innermost(field(case, key).as_array().unwrap_or_else(|| panic!("{key:?} is not a list")))
}

fn lists(case: &Value, key: &str) -> Vec<Vec<usize>> {
    serde_json::from_value(field(case, key).clone()).unwrap_or_else(|error| panic!("{key:?}: {error}"))
}

/// Rows of tokens with all heads side by side, from `[batch, heads, tokens, d_head]`.
fn by_token(case: &Value, key: &str, heads: usize, tokens: usize) -> Vec<f32> {
    let (numbers, d_head) = (singles(case, key), columns(case, key));
    let head = |batch: &[f32], token: usize, head: usize| batch[(head * tokens + token) * d_head..][..d_head].to_vec();
    let row = |batch: &[f32], token: usize| (0..heads).flat_map(|at| head(batch, token, at)).collect::<Vec<_>>();
    let batches = numbers.chunks_exact(heads * tokens * d_head);
    batches.flat_map(|batch| (0..tokens).flat_map(|token| row(batch, token)).collect::<Vec<_>>()).collect()
}

fn close(what: &str, got: &[f32], want: &[f32]) {
    let [got, want] = [got, want].map(|numbers| numbers.iter().copied().map(f64::from).collect::<Vec<_>>());
    near(what, &got, &want, 0.0, ROUNDING);
}

/// The levels with the zero of the papers' code, which must be ours unless rounding is undecided.
fn with_zero(levels: Affine, low: f32, want: f32) -> Affine {
    let Origin::Zero(zero) = levels.origin else { panic!("levels without a zero: {levels:?}") };
    assert!(zero == want || is_tie(low / levels.scale) && (zero - want).abs() == 1.0, "zero: {zero}, want {want}");
    Affine { origin: Origin::Zero(want), ..levels }
}

/// Codes of a group, which must be the same unless rounding is undecided, and what they stand for.
fn same_codes(levels: Affine, group: &[f32], codes: &[usize], values: &[f32]) {
    assert_eq!([codes.len(), values.len()], [group.len(); 2]);
    for ((&number, &want), &value) in group.iter().zip(codes).zip(values) {
        let got = levels.code(number);
        let exact = match levels.origin {
            Origin::Zero(_) => number / levels.scale,
            Origin::Least(least) => (number - least) / levels.scale,
        };
        let tied = is_tie(exact) && got.abs_diff(want as u8) == 1;
        assert!(usize::from(got) == want || tied, "code of {number}: {got}, want {want}");
        close("dequantized", &[levels.value(want as u8)], &[value]);
    }
}

/// The levels that the paper's code gives to a group. It divides the range by bits² - 1 where 2^bits - 1 is meant; cases
/// with 3 bits, where that matters, are flagged. There the scale is checked as that of the mechanism times 7 / 8, and
/// what follows from it by the mechanism's own rules.
fn rotate_kv_levels(case: &Value, group: &[f32]) -> Affine {
    let (bits, clip) = (count(case, "bits") as u32, number(case, "clip_ratio") as f32);
    let levels = Fit::ZeroPoint { clip, through_zero: false }.levels(group, bits);
    if !case.get("official_bits3_slip").is_some_and(|flag| *flag != Value::Bool(false)) {
        return levels;
    }
    let theirs = levels.scale * ((1 << bits) - 1) as f32 / (bits * bits - 1) as f32;
    Affine::zero_point(least(group) * clip, theirs, bits)
}

fn least(group: &[f32]) -> f32 {
    group.iter().copied().fold(f32::INFINITY, f32::min)
}

/// From keys before rotary positions to keys that are read, stage by stage, and the values' way at once.
fn rotate_kv(case: &Value) {
    let (batch, heads, tokens, d_head) = (count(case, "B"), count(case, "H"), count(case, "T"), count(case, "d"));
    let (group, clip) = (count(case, "group_size"), number(case, "clip_ratio") as f32);
    let width = heads * d_head;
    let rows = |key: &str| by_token(case, key, heads, tokens);
    let order = counts(case, "reorder_indices");
    assert_eq!(ascending(&singles(case, "calibration_channel_sums")), order);

    let rotation = Orthogonal::of(count(case, "head_group_num") * d_head);
    let transform = Transform::new(rotation, order);
    let (raw, rotated, sorted) = (rows("keys_pre_rope"), rows("keys_rotated"), rows("keys_rotated_reordered"));
    assert_eq!(raw.len(), batch * tokens * width);
    close("keys_rotated", &transform.rotate(&raw), &rotated);
    close("keys_rotated_reordered", &transform.sort(&rotated), &sorted);

    let (scales, zeros) = (rows("scale"), rows("zero"));
    let codes: Vec<usize> = rows("codes").into_iter().map(|code| code as usize).collect();
    let dequantized = rows("dequantised_reordered");
    for (index, numbers) in sorted.chunks_exact(group).enumerate() {
        let levels = rotate_kv_levels(case, numbers);
        close("scale", &[levels.scale], &[scales[index]]);
        let levels = with_zero(levels, least(numbers) * clip, zeros[index]);
        let place = index * group..(index + 1) * group;
        same_codes(levels, numbers, &codes[place.clone()], &dequantized[place]);
    }

    let sink = field(case, "sink");
    let mut restored = transform.back(&dequantized);
    let (top, protected) = (lists(sink, "top20_tokens"), lists(sink, "protected_tokens"));
    for (index, (top, protected)) in top.iter().zip(&protected).enumerate() {
        let mut first = top[..count(sink, "n_sink")].to_vec();
        first.sort_unstable();
        first.dedup();
        assert_eq!(&first, protected);
        for token in first {
            let place = (index * tokens + token) * width;
            restored[place..][..width].copy_from_slice(&raw[place..][..width]);
        }
    }
    close("keys_restored_pre_rope_with_sink", &restored, &rows("keys_restored_pre_rope_with_sink"));

    let per_head = Transform::new(Orthogonal::of(d_head), vec![]);
    let through = |group: &[f32]| {
        let levels = rotate_kv_levels(case, group);
        group.iter().map(|&number| levels.value(levels.code(number))).collect::<Vec<_>>()
    };
    let values: Vec<f32> = per_head.rotate(&rows("values")).chunks_exact(group).flat_map(through).collect();
    close("values_restored", &per_head.back(&values), &rows("values_restored"));
}

/// The fast Walsh-Hadamard transform with a scale of the case's own.
fn fwht(case: &Value) {
    let (mut rows, length) = (singles(case, "x"), columns(case, "x"));
    rows.chunks_exact_mut(length).for_each(walsh_hadamard);
    let scale = number(case, "scale") as f32 * (length as f32).sqrt();
    let scaled: Vec<f32> = rows.iter().map(|number| number * scale).collect();
    close("y", &scaled, &singles(case, "y"));
}

/// Projections that emit and take what is rotated and sorted.
fn fused_weights(case: &Value) {
    let d_head = count(case, "d");
    let per_head = Orthogonal::of(d_head).expect("a rotation of one head");
    // The papers' weights have their outputs as rows.
    let turned = |key: &str| transposed(&singles(case, key), columns(case, key));
    let keys = Transform::new(Orthogonal::of(count(case, "head_group_num") * d_head), counts(case, "indices"));
    assert_eq!(counts(case, "indices").len(), count(case, "H") * d_head);
    close("k_out", &keys.forward(&turned("k_in")), &turned("k_out"));
    close("v_out", &Transform::new(Some(per_head), vec![]).forward(&turned("v_in")), &turned("v_out"));
    let mut output = turned("o_in");
    let width = output.len() / columns(case, "o_in");
    fuse_output(&mut output, width, per_head);
    close("o_out", &output, &turned("o_out"));
}

/// The tokens with the largest hidden numbers.
fn attention_sinks(case: &Value) {
    let (width, top) = (columns(case, "hidden"), count(case, "k"));
    let (hidden, tokens) = (singles(case, "hidden"), lists(case, "token_of_topk"));
    let protected = lists(case, "protected_sorted_unique");
    assert_eq!(tokens.len(), protected.len());
    for (hidden, (tokens, protected)) in hidden.chunks(hidden.len() / tokens.len()).zip(tokens.iter().zip(&protected)) {
        assert_eq!(&largest_tokens(hidden, width, top), tokens);
        assert_eq!(&sinks(hidden, width, top), protected);
    }
}

/// Keys along their channels and values along their tokens: levels, codes, packed words.
fn kivi(case: &Value) {
    let (bits, width) = (count(case, "bits") as u32, columns(case, "keys"));
    let batches = field(case, "keys").as_array().expect("keys for each batch");
    let heads: usize = batches.iter().map(|heads| heads.as_array().expect("keys for each head").len()).sum();
    // A group of keys stands in a column: the matrix of each head is laid on its side.
    let turned = |numbers: Vec<f64>| -> Vec<f64> {
        numbers.chunks_exact(numbers.len() / heads).flat_map(|head| transposed(head, width)).collect()
    };
    let tokens = numbers(case, "keys").len() / (heads * width);
    let key = |name: &str| turned(numbers(case, name));
    kivi_groups(
        bits,
        count(case, "k_group_tokens"),
        key("keys"),
        ["k_scale", "k_min", "k_codes", "k_dequant"].map(key),
    );
    let value = |name: &str| numbers(case, name);
    let parts = ["v_scale", "v_min", "v_codes", "v_dequant"].map(value);
    kivi_groups(bits, count(case, "v_group_channels"), value("values"), parts);

    for (codes, run, words) in
        [(key("k_codes"), tokens, key("k_packed_int32")), (value("v_codes"), width, value("v_packed_int32"))]
    {
        let codes: Vec<u8> = codes.into_iter().map(|code| code as u8).collect();
        let packed: Vec<u32> = codes.chunks_exact(run).flat_map(|run| pack(run, bits)).collect();
        // The papers' words are signed.
        assert_eq!(packed, words.into_iter().map(|word| word as i32 as u32).collect::<Vec<_>>());
    }
}

/// Numbers in groups one after the other, with their scales, least values, codes and what is restored.
fn kivi_groups(bits: u32, group: usize, numbers: Vec<f64>, parts: [Vec<f64>; 4]) {
    let single = |all: Vec<f64>| all.into_iter().map(|number| number as f32).collect::<Vec<_>>();
    let (numbers, [scales, leasts, codes, values]) = (single(numbers), parts.map(single));
    assert_eq!([scales.len(), leasts.len()], [numbers.len() / group; 2]);
    let codes: Vec<usize> = codes.into_iter().map(|code| code as usize).collect();
    for (index, numbers) in numbers.chunks_exact(group).enumerate() {
        let levels = Fit::Least.levels(numbers, bits);
        close("scale and least", &[levels.scale, levels.value(0)], &[scales[index], leasts[index]]);
        let place = index * group..(index + 1) * group;
        same_codes(levels, numbers, &codes[place.clone()], &values[place]);
    }
}

/// Rows of one group each, with levels through zero, or of several groups.
fn quarot(case: &Value) {
    let (bits, clip, numbers) = (count(case, "bits") as u32, number(case, "clip_ratio") as f32, singles(case, "x"));
    let whole_row = number(case, "groupsize") < 0.0;
    let group = if whole_row { columns(case, "x") } else { count(case, "groupsize") };
    let (scales, zeros) = (singles(case, "scale_per_element"), singles(case, "zero_per_element"));
    let (codes, values) = (counts(case, "codes"), singles(case, "dequant"));
    for (index, numbers) in numbers.chunks_exact(group).enumerate() {
        let place = index * group..(index + 1) * group;
        let levels = Fit::ZeroPoint { clip, through_zero: whole_row }.levels(numbers, bits);
        close("scale_per_element", &vec![levels.scale; group], &scales[place.clone()]);
        let low = if whole_row { least(numbers).min(0.0) } else { least(numbers) };
        let levels = with_zero(levels, low * clip, zeros[place.start]);
        same_codes(levels, numbers, &codes[place.clone()], &values[place]);
    }
}

/// What one layer finds in a text of any length, where each method looks, and at what.
fn long_attention(case: &Value) {
    let [heads, tokens, d_head] = ["heads", "tokens", "head_dim"].map(|key| count(case, key));
    let [width, attended, begin] = ["chunk", "attended", "begin"].map(|key| count(case, key));
    let expected = field(case, "expected");
    // A row of a token holds all heads, and the file has a head after another.
    let by_token = |key: &str| {
        let numbers = singles(case, key);
        assert_eq!(numbers.len(), heads * tokens * d_head, "{key}");
        let row = move |token: usize, head: usize| numbers[(head * tokens + token) * d_head..][..d_head].to_vec();
        (0..tokens).map(|token| (0..heads).flat_map(|head| row(token, head)).collect()).collect::<Vec<Vec<f32>>>()
    };
    let [queries, keys, values] = ["q", "k", "v"].map(by_token);
    let shape = HeadShape { heads, key_heads: heads, d_head };
    let read = |method: Arc<dyn Method>, phase: Phase| {
        let mut layer = LongLayer::new(method, 0, shape, number(case, "rope_base"), tokens);
        let (mut found, mut looks) = (vec![vec![]; heads], vec![vec![]; heads]);
        for ((query, key), value) in queries.iter().zip(&keys).zip(&values) {
            let row = layer.read(phase, [query, key, value], |head, look, _| looks[head].push(look.clone()));
            row.chunks(d_head).zip(&mut found).for_each(|(row, found)| found.extend_from_slice(row));
        }
        (flat(found), looks, layer)
    };
    let same = |key: &str, got: &[f64]| near(key, got, &numbers(expected, key), 1e-5, 0.0);

    let method = LongHeads::new(width, attended);
    assert_eq!([method.attended(), method.attended()], [attended, begin], "whole chunks, chosen once there are more");
    let (found, looks, layer) = read(Arc::new(method.clone()), Phase::Encode);
    same("output", &found);
    same("chunk_representation", &flat((0..heads).map(|head| layer.summaries(head).to_vec())));
    let chosen = looks.iter().flat_map(|looks| &looks[begin..]).flat_map(|look| &look.choice.as_ref().unwrap().chunks);
    let chosen: Vec<usize> = chosen.map(|chosen| chosen.chunk).collect();
    assert_eq!(chosen, counts(expected, "selected_chunks_per_token_from_begin"));
    for looks in &looks {
        let places: Vec<usize> = looks[begin..].iter().map(|look| look.query).collect();
        assert_eq!(places, counts(expected, "query_position_from_begin"));
    }
    let blind = LongHeads { own_token: false, ..method };
    same("output_without_own_token", &read(Arc::new(blind.clone()), Phase::Encode).0);
    same("output", &read(Arc::new(blind), Phase::Generate).0);
    same("window_output", &read(Arc::new(Window { attended, sinks: 0 }), Phase::Encode).0);
    same("sink_output", &read(Arc::new(Window { attended, sinks: 2 }), Phase::Encode).0);
    same("pi_output", &read(Arc::new(Interpolation { trained: attended }), Phase::Encode).0);
    same("ntk_output", &read(Arc::new(Ntk { trained: attended }), Phase::Encode).0);
    same("full_output", &read(Arc::new(Full), Phase::Encode).0);
}
