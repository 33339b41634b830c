//! The recall language: what its texts and contexts hold, and how predictable they are.

use std::collections::{BTreeMap, BTreeSet};

use heads_and_tails::mech::recall_language::{
    ASK, BOS, Context, ContextConfig, FILLERS, Kind, MARGIN, Mixture, NAMES, Needle, RecallLanguage, VALUES,
    VOCABULARY, filler, name, rank, value, word,
};
use heads_and_tails::seed::Stream;

fn texts(mixture: Mixture) -> impl Iterator<Item = Vec<usize>> {
    let language = RecallLanguage::default();
    (0..100).map(move |index| language.text(128, mixture, &mut Stream::at(7, "texts", index)))
}

fn contexts(config: ContextConfig) -> impl Iterator<Item = Context> {
    let language = RecallLanguage::default();
    (0..200).map(move |index| language.context(&config, &mut Stream::at(7, "contexts", index)))
}

#[test]
fn every_token_has_a_word_of_its_own() {
    assert_eq!(VOCABULARY, 97);
    let words: BTreeSet<&str> = (0..VOCABULARY).map(word).collect();
    assert_eq!(words.len(), VOCABULARY);
    assert!(words.iter().all(|word| (1..=5).contains(&word.len())), "short enough for a strip");
    let kinds = |kind: Kind| (0..VOCABULARY).filter(|&token| Kind::of(token) == kind).collect::<Vec<_>>();
    assert_eq!([kinds(Kind::Bos), kinds(Kind::Ask)], [[BOS], [ASK]]);
    assert_eq!(kinds(Kind::Name), (2..26).collect::<Vec<_>>());
    assert_eq!(kinds(Kind::Value), (26..50).collect::<Vec<_>>());
    assert_eq!(kinds(Kind::Filler), (50..97).collect::<Vec<_>>());
    assert_eq!((word(name(0)), word(value(23)), word(filler(46))), (NAMES[0], VALUES[23], FILLERS[46]));
}

/// The entropy rate of the chain, from the frequencies in which it settles.
#[test]
fn fillers_are_as_predictable_as_the_card_says() {
    let language = RecallLanguage::default();
    let rows: Vec<Vec<f64>> = (0..FILLERS.len()).map(|before| language.after(Some(before))).collect();
    for row in rows.iter().chain([&language.after(None)]) {
        assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }
    let mut settled = language.after(None);
    for _ in 0..200 {
        settled =
            (0..FILLERS.len()).map(|next| rows.iter().zip(&settled).map(|(row, at)| at * row[next]).sum()).collect();
    }
    let entropy = |row: &Vec<f64>| -row.iter().map(|p| p * p.ln()).sum::<f64>();
    let perplexity = rows.iter().zip(&settled).map(|(row, at)| at * entropy(row)).sum::<f64>().exp();
    assert!((perplexity - 9.7).abs() < 0.05, "{perplexity}");
}

#[test]
fn three_fillers_follow_each_more_often_than_by_themselves() {
    let language = RecallLanguage::default();
    let free = language.after(None);
    for before in 0..FILLERS.len() {
        let after = language.after(Some(before));
        let mut more: Vec<f64> = after.iter().zip(&free).map(|(after, free)| after - 0.4 * free).collect();
        more.sort_by(f64::total_cmp);
        more.reverse();
        for (more, want) in more.iter().zip([0.36, 0.18, 0.06, 0.0]) {
            assert!((more - want).abs() < 1e-12, "after {before}: {more}, {want}");
        }
    }
}

#[test]
fn a_text_states_each_name_once_and_asks_for_what_it_stated() {
    let (mut questions, mut statements) = (0, 0);
    for text in texts(Mixture::default()) {
        assert_eq!((text.len(), text[0]), (128, BOS));
        let (mut facts, mut at) = (BTreeMap::new(), 1);
        while at < text.len() {
            let rest = &text[at..];
            at += match (Kind::of(rest[0]), rest) {
                (Kind::Filler, _) => 1,
                (Kind::Name, [name, value, ..]) => {
                    assert_eq!(Kind::of(*value), Kind::Value);
                    assert_eq!(facts.insert(*name, *value), None, "a name is stated once");
                    statements += 1;
                    2
                }
                (Kind::Ask, [_, name, value, ..]) => {
                    assert_eq!(facts.get(name), Some(value), "the answer is what was stated");
                    questions += 1;
                    3
                }
                (Kind::Name | Kind::Ask, _) => {
                    assert!(rest.len() < 3, "only the end of a text cuts something short");
                    rest.len()
                }
                (kind, _) => panic!("{kind:?} begins nothing"),
            };
        }
    }
    let (questions, statements) = (f64::from(questions) / 100.0, f64::from(statements) / 100.0);
    assert!((questions - 9.5).abs() < 1.0, "{questions} questions in 128 tokens");
    assert!((6.0..9.0).contains(&statements), "{statements} statements");
}

/// What is said with a probability is said as often.
#[test]
fn surprise_is_that_of_the_texts_themselves() {
    let language = RecallLanguage::default();
    for mixture in
        [Mixture::default(), Mixture { statement: 0.3, question: 0.5 }, Mixture { statement: 1.0, question: 0.0 }]
    {
        for text in texts(mixture).take(20) {
            let surprise = language.surprise(&text, mixture);
            assert_eq!(surprise.len(), 127);
            assert!(surprise.iter().all(|nats| nats.is_finite() && *nats >= 0.0));
            for (at, window) in text.windows(3).enumerate().filter(|(_, window)| window[0] == ASK) {
                assert_eq!(surprise[at + 1], 0.0, "the answer after {window:?} is certain");
            }
        }
    }
    // A text of which one word is another: the mean surprise of the whole language is least for the true mixture.
    let mean = |assumed: Mixture| {
        let texts = texts(Mixture::default());
        texts.map(|text| language.surprise(&text, assumed).iter().sum::<f64>()).sum::<f64>()
    };
    let own = mean(Mixture::default());
    for other in [Mixture { statement: 0.1, question: 0.12 }, Mixture { statement: 0.08, question: 0.2 }] {
        assert!(mean(other) > own, "{other:?} explains the texts better");
    }
}

#[test]
fn a_context_hides_its_needles_among_fillers() {
    for config in [
        ContextConfig::default(),
        ContextConfig { tokens: 1024, ..ContextConfig::default() },
        ContextConfig { tokens: 13, needles: 3, depth: None },
    ] {
        for Context { tokens, needles } in contexts(config) {
            assert_eq!((tokens.len(), needles.len(), tokens[0]), (config.tokens, config.needles, BOS));
            let names: BTreeSet<usize> = needles.iter().map(|needle| needle.name).collect();
            assert_eq!(names.len(), config.needles, "statements are of different names");
            assert!(needles.is_sorted_by(|a, b| a.at + 2 < b.at), "a filler stands between two statements");
            for &Needle { at, name, value } in &needles {
                assert_eq!([Kind::of(name), Kind::of(value)], [Kind::Name, Kind::Value]);
                assert_eq!(tokens[at..at + 2], [name, value]);
                assert!(at + 2 + MARGIN <= tokens.len(), "a statement at {at} of {}", tokens.len());
            }
            let fillers = tokens.iter().filter(|&&token| Kind::of(token) == Kind::Filler).count();
            assert_eq!(fillers, config.tokens - 1 - 2 * config.needles);
        }
    }
}

#[test]
fn needles_lie_everywhere_alike() {
    let starts: Vec<f64> = contexts(ContextConfig::default())
        .flat_map(|context| context.needles.into_iter().map(|needle| needle.at as f64))
        .collect();
    let mean = starts.iter().sum::<f64>() / starts.len() as f64;
    assert!((mean - 57.5).abs() < 3.0, "{mean}");
    assert!(starts.contains(&1.0) && starts.contains(&114.0), "both ends are reached");
}

#[test]
fn a_needle_lies_at_the_depth_that_is_asked_for() {
    let config = |depth: f64| ContextConfig { tokens: 256, needles: 1, depth: Some(depth) };
    let at = |depth: f64| contexts(config(depth)).map(|context| context.needles[0].at).collect::<BTreeSet<_>>();
    assert_eq!([at(0.0), at(1.0)], [[1].into(), [250].into()]);
    assert_eq!(at(0.5).len(), 1);
    let first = |context: Context| {
        let [first, others @ ..] = &context.needles[..] else { panic!("there are four") };
        assert!(others.is_sorted_by_key(|needle| needle.at) && others.iter().all(|needle| needle.at != first.at));
        first.at
    };
    let among = contexts(ContextConfig { needles: 4, ..config(0.0) }).map(first);
    assert_eq!(among.collect::<BTreeSet<_>>(), [1].into());
}

#[test]
fn a_question_comes_behind_the_context() {
    for context in contexts(ContextConfig::default()).take(3) {
        let asked = context.asked(&context.needles[2]);
        assert_eq!(asked[..120], context.tokens);
        assert_eq!(asked[120..], [ASK, context.needles[2].name]);
    }
}

/// A text that the prose offers as a reader's own must be one that the model knows.
#[test]
fn texts_in_links_are_of_the_language() {
    let labs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/labs");
    let mut found = 0;
    for page in ["kv_cache", "longheads"] {
        for file in std::fs::read_dir(labs.join(page).join("text")).unwrap() {
            let prose = std::fs::read_to_string(file.unwrap().path()).unwrap();
            for link in prose.split("words=").skip(1) {
                let text = link.split([')', '&']).next().unwrap().replace("%20", " ").replace('+', " ");
                assert!(Context::parse(&text, 1024).is_ok(), "{text}: {:?}", Context::parse(&text, 1024));
                found += 1;
            }
        }
    }
    assert!(found >= 3, "{found} texts");
}

/// What is too long is read as far as it may be, and that is said.
#[test]
fn a_text_that_is_too_long_is_read_in_part() {
    let text = "the cat was Ada owl and nobody knows these";
    let (context, cut) = Context::parse(text, 7).unwrap();
    assert_eq!((context.tokens.len(), context.needles.len()), (7, 1));
    assert!(cut.is_some_and(|cut| cut.starts_with("The first **6** of your **9** words are read")));
    assert_eq!(Context::parse("Ada owl and", 4).unwrap().1, None);
    // The words that are read must be known, and something must be stated among them.
    assert!(Context::parse(text, 9).unwrap_err().contains("“nobody”"));
    assert!(Context::parse(text, 5).unwrap_err().starts_with("Nothing is stated"));
}

#[test]
fn statements_move_and_fillers_stay_in_order() {
    let language = RecallLanguage::default();
    let config = ContextConfig { tokens: 40, needles: 3, depth: None };
    let context = language.context(&config, &mut Stream::new(3, "contexts"));
    let kept = |context: &Context| -> Vec<usize> {
        context.tokens.iter().copied().filter(|&token| rank(token).is_some()).collect()
    };
    for places in [vec![], vec![30], vec![0, 0, 0], vec![1000, 999, 1], vec![20, 21, 20]] {
        let moved = context.with_needles_at(&places);
        assert_eq!(moved.tokens.len(), 40);
        assert_eq!((moved.tokens[0], kept(&moved)), (BOS, kept(&context)), "{places:?}");
        for needle in &moved.needles {
            assert_eq!(moved.tokens[needle.at..needle.at + 2], [needle.name, needle.value], "{places:?}");
        }
    }
    assert_eq!(context.with_needles_at(&[]), context);
    // As near as the others let it.
    assert!(context.with_needles_at(&[30]).needles[0].at.abs_diff(30) <= 2);
}
