//! The search for statements that are true and improbable: its rules, its world, and how a model's list is read. What the
//! paper's code does is held by the vectors.

use heads_and_tails::mech::rule_search::{Code, KnowledgeBase, lenient, parse, strict};
use serde_json::{Value, json};

#[test]
fn the_world_is_the_cards() {
    let base = KnowledgeBase::default();
    assert_eq!(base.types.len(), 12);
    assert_eq!(base.types.values().map(Vec::len).sum::<usize>(), 388);
    assert_eq!(base.relations.values().map(|relation| relation.pairs.len()).sum::<usize>(), 1361);
    let file = std::fs::read_to_string("tests/golden/link-kb.json").unwrap();
    assert_eq!(KnowledgeBase::from_json(&file).unwrap(), base);
}

#[test]
fn a_world_that_is_none_says_what_it_lacks() {
    let whole: Value = serde_json::from_str(&KnowledgeBase::default().to_json()).unwrap();
    let with = |part: &str, value: Value| {
        let mut world = whole.clone();
        world[part] = value;
        world.to_string()
    };
    let mut dish = whole["types"].clone();
    dish["dish"] = json!(5);
    for (text, words) in [
        (String::new(), "It is empty."),
        ("[]".to_owned(), "it has no “chains”"),
        ("null".to_owned(), "it has no “chains”"),
        (with("types", dish), "“dish” in “types” is not a list of names."),
        (with("types", json!([])), "“types” is not an object"),
        (with("relations", json!({ "likes": [] })), "“likes” in “relations” is not a relation"),
        (with("chains", json!([{ "name": "a" }])), "Number 1 of “chains” is not one"),
        (with("chains", json!([])), "has no chain"),
    ] {
        let said = KnowledgeBase::from_json(&text).unwrap_err().to_string();
        assert!(said.contains(words) && !said.contains("expected"), "{words}: {said}");
    }
    assert!(KnowledgeBase::from_json(&format!("\u{feff}{whole}")).is_ok());
}

/// Codes that the vectors have no case of, by the card's order.
#[test]
fn a_rule_that_is_wrong_says_where() {
    let base = KnowledgeBase::default();
    let food = "allergic_to(P, Allergen A) & one_type_of(Ingredient Z, A) & ingredient_in(Z, B)";
    let long = "x".repeat(65);
    let cases = [
        ("cannot_eat(Person *P, Dish B :- allergic_to(P, Allergen A)".to_owned(), Code::Syntax, 1, 44),
        (format!("cannot_eat(Person *P, dish) :- {food}"), Code::Syntax, 1, 23),
        (format!("{long}(Person *P, Dish B) :- {food}"), Code::TooLarge, 1, 1),
        ("cannot_eat(Person *P, Dish B) :- allergic_to(P, Allergen A)".to_owned(), Code::TooSmall, 1, 1),
        (
            format!("a: cannot_eat(Person *P, Dish B) :- {food}\na: cannot_eat(Person *P, Dish B) :- {food}"),
            Code::LabelTwice,
            2,
            1,
        ),
        (format!("cannot_eat(Person *P, Dish B) :- {food} & ingredient_in(Z, B)"), Code::Repeated, 1, 116),
        (format!("cannot_eat(Person *P, Dish *B) :- {food}"), Code::TwoGenerics, 1, 1),
        (
            format!("cannot_eat(Ingredient Z, Dish B) :- {}", food.replace("(P,", "(Person *P,")),
            Code::GenericNotInConclusion,
            1,
            1,
        ),
        (format!("cannot_eat(Person *P, Dish B) :- {food}\n| grows = \"[P] grows\""), Code::UnusedTemplate, 2, 1),
        (format!("cannot_eat(Person *P, Dish B) :- {food}\n@polarity=maybe"), Code::Syntax, 2, 1),
        ("| cannot_eat = \"[P] [B]\"".to_owned(), Code::Syntax, 1, 1),
        (
            "unsafe_for(Object *X, Activity B) :- made_of(X, Material A) & damaged_by(Hazard Z, A) & involves(B, Z)"
                .to_owned(),
            Code::TypeMismatch,
            1,
            63,
        ),
        (format!("must_skip(Person *P, Dish B) :- {food}"), Code::UnknownPredicate, 1, 1),
    ];
    for (text, code, line, column) in cases {
        let error = parse(&text, &base).unwrap_err();
        assert_eq!((error.code, error.line, error.column), (code, line, column), "{text}: {error}");
        assert!(error.expected.ends_with('.'), "{error}");
    }
}

#[test]
fn a_rule_prints_as_it_is_read() {
    let base = KnowledgeBase::default();
    let rule = &parse("eat: cannot_eat(Person *P, Dish B) :- allergic_to(P, Allergen A) & one_type_of(Ingredient Z, A) & ingredient_in(Z, B)", &base).unwrap()[0];
    assert_eq!(&parse(&rule.to_string(), &base).unwrap()[0], rule);
}

#[test]
fn the_lenient_reading_loses_no_value() {
    let reply = "Here you go:\n1. Laksa\n2) Paella.\n- Risotto\n* \"Poke bowl\"\nEnjoy!";
    assert_eq!(lenient(reply), ["Laksa", "Paella", "Risotto", "Poke bowl"]);
    assert_eq!(strict(reply), Vec::<String>::new());
}

#[test]
fn an_edit_is_done_or_refused_with_its_line() {
    let base = KnowledgeBase::default();
    let edited = base
        .edited("+ dish: tofu tart\n\n# a comment\n+ ingredient_in: tofu, tofu tart\n- ingredient_in: tofu, mapo tofu")
        .unwrap();
    assert!(
        edited.is_true("ingredient_in", "tofu", "tofu tart") && !edited.is_true("ingredient_in", "tofu", "mapo tofu")
    );
    assert_eq!(edited.types["dish"].last().unwrap(), "tofu tart");
    let refused = [
        ("ingredient_in: tofu, laksa", "Line 1: write “+ relation: name, name”"),
        ("+ ingredient_in: tofu, cake", "no known dish"),
        ("\n+ ingredient_in: cod, fish and chips", "Line 2: “cod is an ingredient in fish and chips” is true already."),
        ("- ingredient_in: cod, hummus", "is not true anyway"),
        ("+ eats: cod, hummus", "neither a relation nor a type"),
        ("+ dish: Tofu", "is no name"),
        ("- dish: hummus", "cannot be taken away"),
    ];
    for (edits, sentence) in refused {
        let error = base.edited(edits).unwrap_err().to_string();
        assert!(error.contains(sentence), "{edits}: {error}");
    }
}

#[test]
fn a_word_is_completed_where_the_caret_stands() {
    let spec = heads_and_tails::labs::entry("link").unwrap().specs.iter().find(|spec| spec.key == "own").unwrap();
    let (begun, words) = spec.completions("cannot_eat(Person *P, Di", 24);
    assert_eq!((begun.as_str(), words.as_slice()), ("Di", ["Dish"].as_slice()));
    assert_eq!(spec.completions("ingredient_in", 5).1, ["ingredient_in"], "the rest of the word does not count");
    assert_eq!(spec.completions("ingredient_in(", 14).1, [""; 0]);
    let base = KnowledgeBase::default();
    let known = base.relations.keys().chain(base.hypothetical.keys()).chain(base.types.keys());
    for word in known {
        let offered = |offered: &&str| offered.to_lowercase() == *word;
        assert!(spec.words.iter().any(offered), "{word} is not offered");
    }
}
