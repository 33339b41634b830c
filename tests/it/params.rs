//! The one codec of parameters: what is written reads back, and whatever is read is within limits.

use heads_and_tails::chart::Ink;
use heads_and_tails::lab::params::{Kind, ParamProblem, Part, RESERVED, Value, decode, encode, pairs};
use heads_and_tails::lab::{Lab, ParamSet, Scope, Values};
use heads_and_tails::labs::{CATALOGUE, entry};
use heads_and_tails::seed::Stream;

use crate::made_up::{MadeUp, MadeUpParams, Shape};

const SPECS: &[heads_and_tails::lab::ParamSpec] = MadeUpParams::SPECS;

fn read(query: &str) -> (Values, Vec<ParamProblem>) {
    Values::from_query(SPECS, query)
}

fn typed(query: &str) -> MadeUpParams {
    MadeUpParams::from_values(&read(query).0)
}

/// The sentence about the one mend.
fn mend(query: &str) -> String {
    let (_, problems) = read(query);
    assert_eq!(problems.len(), 1, "{query}: {problems:?}");
    problems[0].message.clone()
}

#[test]
fn every_kind_reads_back_what_it_wrote() {
    let query = "steps=300&draws=none&rate=0.125&level=false&shape=flat-top&target=0.5,-1,1e-3&handles=1,-2;0.25,0\
                 &sentence=na%C3%AFve+%26+50%25+%3D+%23x&token=4&table=my+table.csv&ask=true&seed=77";
    let (values, problems) = read(query);
    assert_eq!(problems, []);
    let (again, problems) = read(&values.to_query());
    assert_eq!((&again, problems), (&values, vec![]));
    let params = MadeUpParams::from_values(&again);
    assert_eq!((params.steps, params.draws, params.rate, params.level, params.seed), (300, 0, 0.125, false, 77));
    assert_eq!(params.shape, Shape::Flat);
    assert_eq!(params.target, [0.5, -1.0, 1e-3]);
    assert_eq!(params.handles, [[1.0, -2.0], [0.25, 0.0]]);
    assert_eq!(params.sentence, "naïve & 50% = #x");
    assert_eq!((params.token, params.table.0.as_str(), params.ask), (Some(4), "my table.csv", true));
}

#[test]
fn a_link_names_every_parameter_and_its_seed() {
    let query = Values::defaults(SPECS).to_query();
    assert_eq!(
        query, "steps=20&draws=2&rate=0.5&level=true&shape=round&sentence=one+two+three&ask=false&seed=1",
        "only what is empty is left out"
    );
    // An empty sentence is not the default one, and so is written.
    let (mut values, _) = read("sentence=");
    assert_eq!(read(&values.to_query()).0, values);
    assert_eq!(values.set("sentence", "one two three"), None);
    assert_eq!(values, Values::defaults(SPECS));
}

/// In no link, no message to an engine, and no text that is printed for a log.
#[test]
fn a_secret_is_in_nothing_that_leaves_the_page() {
    let typed = |address: &str, key: &str| {
        let mut values = Values::defaults(SPECS);
        assert_eq!(values.set("endpoint", address), None);
        assert_eq!(values.choose("password", key), None);
        values
    };
    let (address, key) = ("http://localhost:11434/v1", "sk-never-seen");
    let values = typed(address, key);
    assert_eq!((values.secret(Part::Address), values.secret(Part::Key)), (Some(address), Some(key)));
    let defaults = Values::defaults(SPECS);
    let leaves = [
        values.to_query(),
        values.to_query_after(&defaults),
        defaults.to_query_after(&values),
        values.changes(&defaults),
        defaults.changes(&values),
        format!("{values:?}"),
        format!("{:?}", MadeUpParams::from_values(&values)),
    ];
    for text in leaves {
        assert!(!text.contains("11434") && !text.contains("never-seen") && !text.contains("password="), "{text}");
    }
    assert_eq!(values.to_query(), defaults.to_query());
    assert_eq!(values.changes(&defaults), "");
    // The engine is not told, so that no run starts again.
    assert_eq!(defaults.differs(&values), Some(Scope::View));
    assert!(values.differs_in_secrets(&defaults) && !values.differs_in_secrets(&values.clone()));
    assert_eq!(typed("  ", "").secret(Part::Address), None, "spaces are no address");
}

#[test]
fn a_secret_is_never_taken_from_a_link() {
    let said = "An address or key is never taken from a link; it is left out. Type it here.";
    for query in ["endpoint=http://evil.example/v1", "password=sk-given-away", "endpoint=", "&endpoint=x"] {
        assert_eq!(mend(query), said, "{query}");
        assert_eq!(read(query).0, Values::defaults(SPECS), "{query}");
    }
    // What is typed stays when a link or a preset is followed, and a link does not change it.
    let mut values = Values::defaults(SPECS);
    values.set("endpoint", "http://localhost:8000");
    assert_eq!(values.apply("endpoint=http://evil.example&steps=7").len(), 1);
    assert_eq!(values.secret(Part::Address), Some("http://localhost:8000"));
    let mut preset = read("steps=9").0;
    preset.keep_secrets(&values);
    assert_eq!(preset.secret(Part::Address), Some("http://localhost:8000"));
    let long = values.set("password", &"k".repeat(41)).expect("it is too long");
    assert_eq!(long.message, "Only the first 40 characters are used.");
}

#[test]
fn what_is_out_of_range_is_held_and_said() {
    assert_eq!(mend("steps=0"), "Least is 1; 1 is used.");
    assert_eq!(mend("steps=1e9"), "Most is 100000; 100000 is used.");
    assert_eq!(mend("rate=-4"), "Least is 0.001; 0.001 is used.");
    assert_eq!(mend("rate=2.5"), "Most is 2; 2 is used.");
    assert_eq!(mend("seed=10000"), "Most is 9999; 9999 is used.");
    assert_eq!(typed("steps=1e9").steps, 100_000);
    assert_eq!(typed("steps=7.6").steps, 8, "a whole number is the nearest one");
    assert_eq!(mend("target=9,0"), "Numbers are between -1 and 1; those beyond are held there.");
    assert_eq!(mend("handles=0,9"), "Numbers are between -2 and 2; those beyond are held there.");
    assert_eq!(typed("target=9,-9,0").target, [1.0, -1.0, 0.0]);
    assert_eq!(typed("handles=9,-9").handles, [[2.0, -2.0]]);
}

/// Away from its control a mend says what it is of.
#[test]
fn a_mend_names_its_parameter() {
    let named = |query: &str| read(query).1[0].named(SPECS);
    assert_eq!(named("seed=10000"), "Seed: Most is 9999; 9999 is used.");
    assert_eq!(named("frequencies=8"), "This lab has no “frequencies”; it is left out.");
}

#[test]
fn what_is_no_number_gives_the_default() {
    for text in ["NaN", "inf", "-infinity", "many", "", "1,5", "0x10"] {
        assert_eq!(mend(&format!("rate={text}")), format!("“{text}” is not a number; 0.5 is used."));
        assert_eq!(mend(&format!("steps={text}")), format!("“{text}” is not a number; 20 is used."));
    }
    assert_eq!(mend("level=maybe"), "“maybe” is not true or false; true is used.");
    assert_eq!(mend("shape=Round"), "“Round” is not one of the choices; round is used.");
    assert_eq!(mend("token=5"), "“5” is not a whole number below 5; nothing is used.");
    assert_eq!(mend("token=-1"), "“-1” is not a whole number below 5; nothing is used.");
    assert_eq!(typed("token=+3+").token, Some(3));
    assert_eq!(typed("token=").token, None);
    let long = mend(&format!("rate={}", "x".repeat(500)));
    assert!(long.chars().count() < 70, "a long text is cut where it is repeated: {long}");
}

#[test]
fn long_and_broken_lists_keep_what_they_can() {
    assert_eq!(mend("target=1,1,1,1,1,1,1,1,1"), "Only the first 8 are used.");
    assert_eq!(typed("target=1,1,1,1,1,1,1,1,1").target.len(), 8);
    assert_eq!(mend("target=0.5,NaN,0.25"), "One entry is not a number and is left out.");
    assert_eq!(mend("target=a,b,0.25"), "2 entries are not numbers and are left out.");
    let all = "One entry is not a number and is left out. Numbers are between -1 and 1; those beyond are held there.";
    assert_eq!(mend("target=5,abc,-3"), all);
    assert_eq!(typed("target=0.5,inf,0.25").target, [0.5, 0.25]);
    assert_eq!(typed("target=0.5+0.25%0A0.125;1").target, [0.5, 0.25, 0.125, 1.0], "any separator");
    assert_eq!(mend("handles=1,1;2;0,0"), "One entry is not a number and is left out.");
    assert_eq!(typed("handles=1,1;2;0,0").handles, [[1.0, 1.0], [0.0, 0.0]]);
    assert_eq!(mend("handles=1,1;1,1;1,1;1,1;1,1"), "Only the first 4 are used.");
    assert_eq!(mend(&format!("sentence={}", "é".repeat(41))), "Only the first 40 characters are used.");
    assert_eq!(typed(&format!("sentence={}", encode(&"é".repeat(41)))).sentence, "é".repeat(40));
}

#[test]
fn unknown_keys_are_said_and_reserved_ones_passed_over() {
    let (values, problems) = read("speed=max&frequencies=8&at=3&rate=1");
    assert_eq!(problems[0].message, "This lab has no “frequencies”; it is left out.");
    assert_eq!(problems.len(), 1);
    assert_eq!(values.get("rate"), Some(&Value::Real(1.0)));
    for key in RESERVED {
        assert_eq!(read(&format!("{key}=x")).1, []);
    }
}

#[test]
fn broken_escapes_stand_for_themselves() {
    for (text, meant) in [("%", "%"), ("%4", "%4"), ("%zz", "%zz"), ("100%25", "100%"), ("a+b", "a b"), ("%41%", "A%")]
    {
        assert_eq!(decode(text), meant);
    }
    assert_eq!(decode("%FF"), "\u{fffd}", "bytes that are no text become the mark for that");
    assert_eq!(decode("%+1"), "% 1");
    for text in ["", "a b&c=d", "100 % of “it”", "#?+;,:~", "\n\t\0", "日本語"] {
        assert_eq!(decode(&encode(text)), text);
    }
    assert_eq!(pairs("?a=1&&b&=c"), [("a", "1"), ("b", ""), ("", "c")].map(|(a, b)| (a.to_owned(), b.to_owned())));
}

#[test]
fn a_number_may_be_a_word_and_a_key_may_have_been_renamed() {
    assert_eq!(typed("draws=none").draws, 0);
    assert_eq!(typed("draws=0").draws, 0);
    assert!(read("draws=0").0.to_query().contains("draws=none"));
    assert_eq!(mend("draws=all"), "“all” is not a number; 2 is used.");
    for key in ["rate", "learning_rate", "lr"] {
        assert_eq!(typed(&format!("{key}=0.25")).rate, 0.25);
    }
    assert!(read("lr=0.25").0.to_query().contains("&rate=0.25"));
    // In the labs the word is "all".
    let draw = entry("fourier-head-draw").expect("the lab is registered");
    let (values, problems) = Values::from_query(draw.specs, "draws=all");
    assert_eq!((values.get("draws"), problems), (Some(&Value::Int(0)), vec![]));
}

#[test]
fn the_strongest_scope_of_what_differs_counts() {
    let base = || read("").0;
    for (query, scope) in [
        ("", None),
        ("level=true", None),
        ("level=false", Some(Scope::View)),
        ("level=false&rate=1", Some(Scope::Live)),
        ("rate=1&seed=2&level=false", Some(Scope::Run)),
        ("seed=2", Some(Scope::Run)),
    ] {
        assert_eq!(base().differs(&read(query).0), scope, "{query}");
        assert_eq!(read(query).0.differs(&base()), scope, "{query}, the other way");
    }
}

#[test]
fn a_declaration_says_what_it_says() {
    let of = |key: &str| SPECS.iter().find(|spec| spec.key == key).expect("it is declared");
    assert_eq!(of("rate").help, "Size of a step of the walk.");
    assert_eq!((of("rate").symbol, of("rate").scope, of("level").swatch), ("η", Scope::Live, Some(Ink::Truth)));
    assert!(of("table").more && !of("rate").more);
    assert_eq!(SPECS.last().map(|spec| spec.key), Some("seed"));
    assert_eq!(Shape::ALL.iter().map(|shape| (shape.value(), shape.label())).collect::<Vec<_>>(), Shape::OPTIONS);
    assert_eq!(MadeUp::CARD.slug, "made-up");
}

/// Whether a value is one that its parameter may have.
pub fn allowed(kind: &Kind, value: &Value) -> bool {
    match (kind, value) {
        (Kind::Int { min, max }, Value::Int(value)) => (min..=max).contains(&value),
        (Kind::Real { min, max }, Value::Real(value)) => (min..=max).contains(&value),
        (Kind::Toggle, Value::Toggle(_)) | (Kind::File { .. }, Value::File(_)) => true,
        (Kind::Choice { options }, Value::Choice(value)) => options.iter().any(|(option, _)| option == value),
        (Kind::Numbers { most, min, max }, Value::Numbers(list)) => {
            list.len() <= *most && list.iter().all(|value| (min..=max).contains(&value))
        }
        (Kind::Points { most, min, max }, Value::Points(list)) => {
            list.len() <= *most && list.as_flattened().iter().all(|value| (min..=max).contains(&value))
        }
        (Kind::Text { most }, Value::Text(text)) => text.chars().count() <= *most,
        (Kind::Secret { most, .. }, Value::Secret(secret)) => secret.reveal().chars().count() <= *most,
        (Kind::Picks { most }, Value::Picks(list)) => list.len() <= *most && list.iter().all(|pick| pick < most),
        (Kind::Pick { most }, Value::Pick(pick)) => pick.is_none_or(|pick| pick < *most),
        _ => false,
    }
}

#[test]
fn whatever_is_read_is_within_limits() {
    let mut stream = Stream::new(1, "noise");
    let pieces: Vec<String> = SPECS
        .iter()
        .flat_map(|spec| [format!("{}=", spec.key), format!("&{}=", spec.key)])
        .chain(
            ["&", "=", "%", "%F", ",", ";", "1e999", "-1e39", "NaN", "9999999999999999999999", "0.5", "é", "%00", "+"]
                .map(str::to_owned),
        )
        .collect();
    for _ in 0..6000 {
        let mut bytes = Vec::new();
        for _ in 0..stream.below(24) {
            match stream.below(3) {
                0 => bytes.push(stream.below(256) as u8),
                _ => bytes.extend_from_slice(pieces[stream.below(pieces.len())].as_bytes()),
            }
        }
        let query = String::from_utf8_lossy(&bytes);
        let (values, _) = read(&query);
        let all = SPECS.iter().all(|spec| values.get(spec.key).is_some_and(|value| allowed(&spec.kind, value)));
        assert!(all, "{query:?} gives {values:?}");
        let _typed = MadeUpParams::from_values(&values);
        let (again, problems) = read(&values.to_query());
        assert_eq!(again, values, "{query:?} reads back as another setting");
        assert_eq!(problems, [], "{query:?} becomes a link that is mended");
    }
}

#[test]
fn every_default_is_allowed_and_no_key_is_the_pages() {
    for entry in CATALOGUE {
        for spec in entry.specs {
            assert!(allowed(&spec.kind, &spec.default), "{}: {}", entry.card.slug, spec.key);
            let keys = || std::iter::once(&spec.key).chain(spec.aliases);
            assert!(keys().all(|key| !RESERVED.contains(key)), "{}: {} is reserved", entry.card.slug, spec.key);
        }
    }
}

/// Links that were given away. A line is never changed or removed; a renamed key keeps an alias.
#[test]
fn old_links_still_read() {
    let links = include_str!("../golden/permalinks.txt");
    let mut read = 0;
    for line in links.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (slug, query) = line.split_once(' ').expect("a line is a slug and a query");
        let entry = entry(slug).unwrap_or_else(|| panic!("no lab “{slug}” any more"));
        let (values, problems) = Values::from_query(entry.specs, query);
        assert_eq!(problems, [], "{line}");
        assert_eq!(Values::from_query(entry.specs, &values.to_query()).0, values, "{line}");
        read += 1;
    }
    assert!(read >= CATALOGUE.len(), "each lab has a link here");
}

/// What a parameter takes, in words.
fn range(spec: &heads_and_tails::lab::ParamSpec) -> String {
    let word = spec.word.map(|(word, _)| format!(", or `{word}`")).unwrap_or_default();
    match &spec.kind {
        Kind::Int { min, max } => format!("{min} to {max}{word}"),
        Kind::Real { min, max } => format!("{min} to {max}"),
        Kind::Toggle => "`true` or `false`".to_owned(),
        Kind::Choice { options } => {
            options.iter().map(|(value, _)| format!("`{value}`")).collect::<Vec<_>>().join(", ")
        }
        Kind::Numbers { most, min, max } => format!("up to {most} numbers from {min} to {max}, between commas"),
        Kind::Points { most: 1, min, max } => format!("a point `x,y` from {min} to {max}"),
        Kind::Points { most, min, max } => {
            format!("up to {most} points `x,y` from {min} to {max}, between semicolons")
        }
        Kind::Text { most } => format!("up to {most} characters"),
        Kind::Pick { most } => format!("0 to {}, or nothing", most - 1),
        Kind::Picks { most } => format!("numbers from 0 to {}, between commas, or nothing", most - 1),
        Kind::Secret { most, .. } => format!("up to {most} characters, typed on the page: never taken from a link"),
        Kind::File { most_bytes, accept } => format!("a file of up to {} MB ({accept})", most_bytes >> 20),
    }
}

fn reference() -> String {
    let mut text = "# Parameters\n\n\
        What the fragment of a lab's address may hold, as in `?lab=fourier-head-draw#frequencies=8&seed=3`. \
        A link holds them all; what is missing has its default, and what is out of range is held and said.\n\n\
        A change of a *run* parameter starts the run again, the running model takes a *live* one, and a *view* \
        parameter changes the look alone.\n\n\
        This file is written by `HT_UPDATE=1 cargo test --test it params`.\n"
        .to_owned();
    for entry in CATALOGUE {
        text += &format!("\n## {} (`{}`)\n\n", entry.card.title, entry.card.slug);
        text += "| Key | Name | Takes | Default | Change | What it does |\n|---|---|---|---|---|---|\n";
        for spec in entry.specs {
            let default = match spec.text(&spec.default) {
                empty if empty.is_empty() => "nothing".to_owned(),
                text => format!("`{text}`"),
            };
            let name = [spec.name, spec.symbol].join(" ");
            let scope = match spec.scope {
                Scope::Run => "run",
                Scope::Live => "live",
                Scope::View => "view",
            };
            let aliases = spec.aliases.iter().map(|alias| format!(" (once `{alias}`)")).collect::<String>();
            let cells = [&format!("`{}`{aliases}", spec.key), name.trim(), &range(spec), &default, scope, spec.help];
            text += &format!("| {} |\n", cells.map(|cell| cell.replace('|', "\\|")).join(" | "));
        }
    }
    text
}

#[test]
fn the_reference_is_fresh() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/parameters.md");
    let fresh = reference();
    if std::env::var_os("HT_UPDATE").is_some() {
        std::fs::write(&path, &fresh).expect("docs/parameters.md can be written");
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(stored == fresh, "docs/parameters.md is stale; HT_UPDATE=1 cargo test --test it params writes it anew");
}

#[test]
fn a_choice_of_the_reader_empties_what_took_its_place() {
    let specs = entry("fourier-head-draw").unwrap().specs;
    let mut values = Values::from_query(specs, "painted=0.5,1&target=spike").0;
    assert!(values.to_query().contains("painted=0.5,1"), "a link may say both, and the painting counts");
    assert_eq!(values.choose("target", "square-wave"), None);
    assert!(values.to_query().starts_with("target=square-wave&") && !values.to_query().contains("painted"));
    values.set("painted", "1,0");
    values.choose("frequencies", "3");
    assert!(values.to_query().contains("painted=1,0"), "others leave it alone");
}

#[test]
fn what_has_become_empty_is_told_to_whoever_knows_it_as_it_was() {
    let (before, _) = Values::from_query(MadeUpParams::SPECS, "token=2&target=1,0.5&sentence=one");
    let (after, _) = Values::from_query(MadeUpParams::SPECS, "sentence=one");
    let mut told = before.clone();
    assert_eq!(told.apply(&after.to_query_after(&before)), []);
    assert!(told == after, "{}", after.to_query_after(&before));
    assert_eq!(after.to_query_after(&after), after.to_query());
}
