//! What the compiler and clippy do not check: which part may use which, and what no text of the project may hold.

use std::path::{Path, PathBuf};

use heads_and_tails::lab::Panel;
use heads_and_tails::labs::CATALOGUE;

/// A text that stands only where it is allowed.
struct Rule {
    /// Files that are looked through, by the start of their path.
    within: &'static [&'static str],
    /// What must not stand there; any of these.
    patterns: &'static [&'static str],
    /// Where it may stand all the same, by the start of the path.
    allowed: &'static [&'static str],
    reason: &'static str,
}

const RULES: &[Rule] = &[
    Rule {
        within: &["src/", "examples/"],
        patterns: &["leptos", "web_sys", "js_sys", "wasm_bindgen"],
        allowed: &["src/bin/", "src/engine.rs"],
        reason: "the library is tested without a browser",
    },
    Rule {
        within: &["src/bin/app/"],
        patterns: &["burn", "burn_wgpu", "RUNNERS", "labs::fourier_head"],
        allowed: &[],
        reason: "the page links no tensor library, and knows no lab by name",
    },
    Rule {
        within: &["src/chart/", "src/seed.rs", "src/kernels/src/"],
        patterns: &["burn", "kernels::"],
        allowed: &[],
        reason: "what needs no tensor is tested and drawn without one",
    },
    Rule {
        within: &["src/bin/app/"],
        patterns: &["thread_local!", "OnceLock", "LazyLock", "static mut"],
        allowed: &[],
        reason: "a signal belongs to a component: a global one outlives its page",
    },
    Rule {
        within: &["src/mech/", "src/labs/"],
        patterns: &["activation::", "burn::nn::loss", "CrossEntropyLoss", "LayerNorm", "MultiHeadAttention"],
        allowed: &["src/mech/ops/"],
        reason: "Burn's own are scalar and unfused, two to four times slower: train through mech::ops",
    },
    Rule {
        within: &["src/"],
        patterns: &["cfg(target_arch", "cfg!(target_arch", "cfg(any(target_arch", "cfg(all(target_arch"],
        allowed: &["src/bin/", "src/lib.rs", "src/kernels/"],
        reason: "the library does the same on every machine",
    },
    Rule {
        within: &["src/"],
        patterns: &[".into_data(", ".to_data(", ".into_scalar(", ".into_data_async(", ".into_scalar_async("],
        allowed: &["src/lab/read.rs", "src/mech/adam.rs"],
        reason: "reading back blocks, and a browser cannot: read through lab::read",
    },
    Rule {
        within: &["src/"],
        patterns: &[".argsort(", ".topk(", ".sort_descending("],
        allowed: &["src/kernels/"],
        reason: "sorting tensors panics on WebGPU",
    },
    Rule {
        within: &["src/"],
        patterns: &["unsafe"],
        allowed: &["src/kernels/"],
        reason: "only the kernels' SIMD needs it",
    },
    Rule {
        within: &["src/"],
        patterns: &[".unwrap()"],
        allowed: &["src/kernels/tests/"],
        reason: "an expect says why it cannot fail",
    },
    Rule {
        within: &["src/", "tests/", "xtask/", "benches/", "examples/"],
        patterns: &["#[ignore"],
        allowed: &[],
        reason: "a slow test is skipped by an environment variable, which says when it runs",
    },
    Rule {
        within: &["src/"],
        patterns: &[".seed(", "Tensor::random", "Distribution", "Dropout", "thread_rng", "getrandom"],
        allowed: &["src/lab/read.rs"],
        reason: "devices differ in their streams: weights come from lab::seeded, data from seed::Stream",
    },
    Rule {
        within: &["src/", "examples/", "tests/it/"],
        patterns: &[".init(&"],
        allowed: &["tests/it/tidy.rs"],
        reason: "Burn has one generator: what is drawn beside lab::seeded changes what that draws on another thread",
    },
    Rule {
        within: &["src/"],
        patterns: &["Instant", "SystemTime"],
        allowed: &[],
        reason: "a clock comes through the host: a browser has no other",
    },
    Rule {
        within: &["src/"],
        patterns: &["configure_series_labels", "MultiLineText"],
        allowed: &[],
        reason: "they measure text through the page",
    },
    Rule {
        within: &[""],
        patterns: &[
            "/work/",
            "/root/",
            "/home/",
            "index.crates.io",
            "static.crates.io",
            "registry.npmjs",
            "proxy.golang",
            "/tmp/",
            "/Users/",
        ],
        allowed: &["Cargo.lock", "xtask/", ".ci/", ".cargo/"],
        reason: "a text that names one machine is wrong on every other",
    },
    Rule {
        within: &[""],
        patterns: &["colour", "behaviour", "neighbour", "centre", "normalis", "initialis", "optimise", "regularis"],
        // Golden vectors stand as the papers' own code wrote them, and are read by the names that it gave them.
        allowed: &["Cargo.lock", "tests/golden/", "tests/it/golden.rs"],
        reason: "one spelling everywhere, Rust's own, so that a search finds all",
    },
    Rule {
        within: &[""],
        patterns: &["TODO", "FIXME", "XXX"],
        allowed: &["Cargo.lock"],
        reason: "what is left to do is an issue, where somebody finds it",
    },
];

/// Which of our own modules a part may use: whatever else it needs moves down into one of them. The first line whose
/// start fits a file counts.
const USES: &[(&str, &[&str])] = &[
    ("src/kernels/src/", &["elementary", "four", "gemm", "loss"]),
    ("src/seed.rs", &[]),
    ("src/chart/", &["chart"]),
    ("src/mech/", &["mech", "seed"]),
    // A saved state holds a model's numbers and its optimizer's, and a frame holds charts.
    ("src/lab/", &["lab", "chart", "mech", "seed", "params", "choices"]),
    ("src/drive/", &["drive", "lab", "mech"]),
    // The registry says how each lab is run.
    ("src/labs/mod.rs", &["lab", "labs", "drive"]),
    ("src/labs/", &["lab", "labs", "chart", "mech", "seed", "params", "choices"]),
    ("src/engine.rs", &["drive", "lab", "labs"]),
    ("src/bin/cpu-engine/", &["engine", "lab"]),
    ("src/bin/cpu-relaxed-engine/", &["engine", "lab"]),
    ("src/bin/gpu-engine/", &["engine", "lab"]),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Texts of the project by their paths below its root. This file, which holds every pattern, is not among them.
fn texts() -> Vec<(String, String)> {
    const ENDS: &[&str] = &["rs", "toml", "md", "js", "css", "html", "txt", "json", "csv", "snap", "yml", "sh", "svg"];
    const PASSED_OVER: &[&str] = &["target", "dist", "look", "node_modules", ".git", "shared"];
    let mut folders: Vec<PathBuf> = vec![root().to_owned()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of the project can be listed") {
            let path = entry.expect("an entry of a folder can be read").path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if path.is_dir() {
                if !PASSED_OVER.contains(&name) {
                    folders.push(path);
                }
                continue;
            }
            let ends = path.extension().and_then(|end| end.to_str()).is_some_and(|end| ENDS.contains(&end));
            let short = path.strip_prefix(root()).expect("it was found below").to_string_lossy().replace('\\', "/");
            if ends && short != "tests/it/tidy.rs" {
                found.push((
                    short,
                    String::from_utf8_lossy(&std::fs::read(&path).expect("it can be read")).into_owned(),
                ));
            }
        }
    }
    found.sort();
    assert!(found.len() > 40, "the project has more than {} texts", found.len());
    found
}

/// Rust without its comments, whose words are free.
fn code(path: &str, line: &str) -> String {
    match path.ends_with(".rs") {
        true => line.split("//").next().unwrap_or_default().to_owned(),
        false => line.to_owned(),
    }
}

fn starts(path: &str, places: &[&str]) -> bool {
    places.iter().any(|place| path.starts_with(place))
}

/// Whether the pattern stands in the line as a whole word where it begins or ends with a letter.
fn holds(line: &str, pattern: &str) -> bool {
    let word = |character: Option<char>| character.is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(pattern).any(|(at, _)| {
        let (before, after) = (line[..at].chars().next_back(), line[at + pattern.len()..].chars().next());
        let longer_before = word(pattern.chars().next()) && word(before);
        let longer_after = word(pattern.chars().next_back()) && word(after);
        !longer_before && !longer_after
    })
}

fn tell(broken: &[String]) {
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

#[test]
fn the_browser_runs_every_golden_file() {
    let carried = std::fs::read_to_string(root().join("tests/web/main.rs")).expect("the tests in the browser");
    let files = std::fs::read_dir(root().join("tests/golden")).expect("the golden vectors");
    for file in files.filter_map(|file| Some(file.ok()?.file_name().to_string_lossy().into_owned())) {
        assert!(!file.ends_with(".json") || carried.contains(&format!("../golden/{file}\"")), "{file} is not carried");
    }
}

#[test]
fn everything_stands_where_it_may() {
    let mut broken = Vec::new();
    for (path, text) in texts() {
        for rule in RULES.iter().filter(|rule| starts(&path, rule.within) && !starts(&path, rule.allowed)) {
            let whole = rule.within == [""];
            for (number, line) in text.lines().enumerate() {
                let line = if whole { line.to_owned() } else { code(&path, line) };
                for pattern in rule.patterns.iter().filter(|pattern| match whole {
                    true => line.contains(**pattern),
                    false => holds(&line, pattern),
                }) {
                    broken.push(format!("{path}:{}: “{pattern}”: {}", number + 1, rule.reason));
                }
            }
        }
    }
    tell(&broken);
}

/// Modules of ours that a line of code names, with the line's number. Groups are opened one level deep.
fn used(path: &str, text: &str) -> Vec<(usize, String)> {
    let lines: Vec<String> = text.lines().map(|line| code(path, line)).collect();
    let whole = lines.join("\n");
    let mut found = Vec::new();
    for opening in ["crate::", "heads_and_tails::"] {
        for (at, _) in whole.match_indices(opening).filter(|(at, _)| !whole[..*at].ends_with('$')) {
            let number = whole[..at].matches('\n').count() + 1;
            let rest = &whole[at + opening.len()..];
            let names = match rest.strip_prefix('{') {
                Some(group) => {
                    let (mut depth, mut names, mut start) = (0, Vec::new(), 0);
                    for (end, character) in group.char_indices() {
                        match character {
                            '{' => depth += 1,
                            '}' if depth > 0 => depth -= 1,
                            ',' | '}' if depth == 0 => {
                                names.push(&group[start..end]);
                                start = end + 1;
                            }
                            _ => {}
                        }
                        if character == '}' && start == end + 1 {
                            break;
                        }
                    }
                    names
                }
                None => vec![rest],
            };
            let name = |text: &str| -> String {
                text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
            };
            found.extend(names.into_iter().map(name).filter(|name| !name.is_empty()).map(|name| (number, name)));
        }
    }
    found
}

#[test]
fn each_part_uses_only_what_it_may() {
    let mut broken = Vec::new();
    for (path, text) in texts().into_iter().filter(|(path, _)| path.ends_with(".rs")) {
        let Some((_, may)) = USES.iter().find(|(start, _)| path.starts_with(start)) else { continue };
        for (number, module) in used(&path, &text) {
            if !may.contains(&module.as_str()) {
                broken.push(format!("{path}:{number}: uses {module}, and may use only {may:?} of ours"));
            }
        }
        // A path that climbs leaves the part without naming it.
        let up = ["lab", "labs", "chart", "drive", "engine", "mech", "seed"];
        for (number, line) in text.lines().enumerate() {
            let climbs = up.iter().filter(|module| !may.contains(module));
            for module in climbs.filter(|module| code(&path, line).contains(&format!("super::super::{module}::"))) {
                broken.push(format!("{path}:{}: climbs to {module}", number + 1));
            }
        }
    }
    tell(&broken);
}

#[test]
fn modules_are_found_in_groups() {
    let names = |text: &str| used("a.rs", text).into_iter().map(|(_, name)| name).collect::<Vec<_>>();
    assert_eq!(
        names("use crate::lab::{read, State};\nuse crate::{chart::{self, Ink}, mech,\n    seed};"),
        ["lab", "chart", "mech", "seed"]
    );
    assert_eq!(names("// use crate::lab;\nlet x = heads_and_tails::drive::serve;"), ["drive"]);
    assert!(names("$crate::lab::params").is_empty(), "a macro's own paths are those of whoever calls it");
}

/// A key is typed in its `params!` alone; the page finds it in the list. Every lab has a seed, which has its own field.
/// Only where a value is got, set or asked for: a key such as "place" is a word as well.
#[test]
fn the_page_knows_no_parameter_by_its_key() {
    let keys = || CATALOGUE.iter().flat_map(|entry| entry.specs).map(|spec| spec.key).filter(|key| *key != "seed");
    let mut broken = Vec::new();
    for (path, text) in texts().into_iter().filter(|(path, _)| starts(path, &["src/bin/", "src/engine.rs", "public/"]))
    {
        for (number, line) in text.lines().enumerate().filter(|_| path.ends_with(".rs") || path.ends_with(".js")) {
            let line = code(&path, line);
            let typed = |key: &&str| {
                ["get(", "set(", "== ", "!= "].iter().any(|before| line.contains(&format!("{before}\"{key}\"")))
            };
            if let Some(key) = keys().find(typed) {
                broken.push(format!("{path}:{}: the key “{key}” is typed outside its params!", number + 1));
            }
        }
    }
    tell(&broken);
}

/// Whoever reads an unsafe block is told why it is sound.
#[test]
fn what_is_unsafe_says_why_it_is_sound() {
    let mut broken = Vec::new();
    for (path, text) in texts().into_iter().filter(|(path, _)| starts(path, &["src/kernels/"])) {
        let lines: Vec<&str> = text.lines().collect();
        for (number, line) in lines.iter().enumerate().filter(|_| path.ends_with(".rs")) {
            let line = code(&path, line);
            let opens = ["unsafe {", "unsafe impl"].iter().any(|opening| line.contains(opening));
            let said = lines[number.saturating_sub(3)..number].iter().any(|line| line.contains("// SAFETY:"));
            if opens && !said {
                broken.push(format!("{path}:{}: no “// SAFETY:” above", number + 1));
            }
        }
    }
    tell(&broken);
}

/// Lints are allowed with a reason, in code and comments of any kind.
#[test]
fn an_allowed_lint_says_why() {
    let mut broken = Vec::new();
    for (path, text) in texts().into_iter().filter(|(path, _)| path.ends_with(".rs")) {
        for opening in ["#[allow(", "#![allow(", "#[expect(", "#![expect("] {
            for (at, _) in text.match_indices(opening) {
                let attribute = text[at..].split(")]").next().unwrap_or_default();
                if !attribute.contains("reason =") {
                    broken.push(format!("{path}:{}: {opening}…)] gives no reason", text[..at].lines().count() + 1));
                }
            }
        }
    }
    tell(&broken);
}

/// A lab stands on its own page: what two pages share moves down into a mechanism.
#[test]
fn a_page_uses_no_other_page() {
    let pages = pages();
    let mut broken = Vec::new();
    for (path, text) in texts() {
        let Some(own) = path.strip_prefix("src/labs/").and_then(|rest| rest.split_once('/')).map(|(page, _)| page)
        else {
            continue;
        };
        for (number, line) in text.lines().enumerate().map(|(number, line)| (number, code(&path, line))) {
            for page in pages.iter().filter(|page| *page != own) {
                if line.contains(&format!("labs::{page}")) || line.contains(&format!("super::super::{page}")) {
                    broken.push(format!("{path}:{}: uses the page {page}", number + 1));
                }
            }
        }
    }
    tell(&broken);
}

fn pages() -> Vec<String> {
    let entries = std::fs::read_dir(root().join("src/labs")).expect("there are labs");
    let folders = entries.flatten().filter(|entry| entry.path().is_dir());
    folders.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// A folder that is not registered would be compiled by nobody, and a lab that is not would be found by nobody.
#[test]
fn every_lab_is_registered() {
    let registry = std::fs::read_to_string(root().join("src/labs/mod.rs")).expect("the registry can be read");
    let mut broken = Vec::new();
    for page in pages() {
        if !registry.contains(&format!("pub mod {page};")) {
            broken.push(format!("src/labs/{page}: no “pub mod {page};” in src/labs/mod.rs"));
        }
        let own = format!("src/labs/{page}/");
        let labs = texts().into_iter().filter(|(path, text)| path.starts_with(&own) && text.contains("impl Lab for "));
        for (path, text) in labs {
            for name in text.split("impl Lab for ").skip(1).filter_map(|rest| rest.split_whitespace().next()) {
                if !registry.contains(&format!("::{name},")) {
                    broken.push(format!("{path}: {name} has no line in labs!"));
                }
            }
            let slugs = CATALOGUE.iter().filter(|entry| text.contains(&format!("\"{}\"", entry.card.slug))).count();
            if slugs == 0 {
                broken.push(format!("{path}: names no slug of the catalogue"));
            }
        }
    }
    tell(&broken);
}

/// The home page shows a picture of each lab before anything has run, and loads them all.
#[test]
fn every_lab_has_a_poster() {
    for entry in CATALOGUE {
        let path = format!("public/posters/{}.json", entry.card.slug);
        let text = std::fs::read_to_string(root().join(&path)).unwrap_or_default();
        let panel = serde_json::from_str::<Panel>(&text);
        assert!(panel.is_ok(), "{path} is missing or of an older format: cargo xtask poster records it");
        assert!(text.len() <= 30_000, "{path} has {} bytes", text.len());
    }
}

/// Colors stand in the style sheet, so that themes and roles hold everywhere.
#[test]
fn colors_stand_in_the_style_sheet() {
    let mut broken = Vec::new();
    for (path, text) in texts() {
        let looked = starts(&path, &["src/", "public/", "examples/"]) && !starts(&path, &["src/chart/pen.rs"]);
        let looked = looked && [".rs", ".js", ".html"].iter().any(|end| path.ends_with(end));
        for (number, line) in text.lines().enumerate().filter(|_| looked) {
            let line = code(&path, line);
            let hex = line.match_indices('#').any(|(at, _)| {
                let digits = line[at + 1..].bytes().take_while(u8::is_ascii_hexdigit).count();
                let ends = line[at + 1 + digits..].starts_with(['"', '\'', ';', ' ', ')', ',', '\\']);
                // An entity of a text, such as that of an apostrophe, has its sign before.
                matches!(digits, 3 | 4 | 6 | 8) && ends && !line[..at].ends_with('&')
            });
            if hex || line.contains("rgb(") || line.contains("rgba(") || line.contains("oklch(") {
                broken.push(format!("{path}:{}: a color outside style/ and src/chart/pen.rs", number + 1));
            }
        }
    }
    tell(&broken);
}

/// Clippy is told of what blocks a browser too, so that an editor says it at once.
#[test]
fn clippy_knows_what_blocks() {
    let told = std::fs::read_to_string(root().join("clippy.toml")).expect("clippy.toml stands at the root");
    for method in ["into_data", "to_data", "into_scalar", "sort", "argsort", "topk"] {
        assert!(told.contains(&format!("burn::tensor::Tensor::{method}\"")), "clippy.toml does not name {method}");
    }
}

#[test]
fn a_pattern_is_found_as_a_word() {
    assert!(holds("let x = unsafe { 1 };", "unsafe "));
    assert!(holds("use std::time::Instant;", "Instant"));
    assert!(!holds("Instantly", "Instant") && !holds("burn::tensors", "burn::tensor"));
    assert!(holds("x.into_data()", ".into_data(") && !holds("my_leptos", "leptos"));
    assert_eq!(code("a.rs", "let x = 1; // Instant"), "let x = 1; ");
}
