//! The search with a server of the reader's, which a script plays: what it is asked, how its answers are read, and what is
//! done where it cannot.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::rc::Rc;

use heads_and_tails::drive::{Running, find};
use heads_and_tails::lab::{Body, Cell, Frame, HttpRequest, HttpResponse, LabError, Status, Table, Values};
use heads_and_tails::labs::RUNNERS;
use heads_and_tails::mech::rule_search::chat::{
    likelihood_of_value, proposal_question, read_likelihood, read_reply, read_values, tells_likelihoods, verdict,
    yes_by_likelihood,
};
use heads_and_tails::mech::rule_search::{Code, KnowledgeBase, parse, parse_open};
use pollster::block_on;
use serde_json::{Value, json};

use crate::site::{host, host_asking};

/// What a scripted server can do.
#[derive(Clone, Copy)]
struct Able {
    /// Tells likelihoods, leaves them out, or refuses a question that asks for them.
    likelihoods: Likelihoods,
    /// Echoes a text with its likelihood.
    echo: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Likelihoods {
    Told,
    LeftOut,
    Refused,
}

const ALL: Able = Able { likelihoods: Likelihoods::Told, echo: true };

/// What it proposes for each variable, and what it believes.
fn proposed(question: &str) -> &'static [&'static str] {
    match question {
        question if question.contains("for Z, each an ingredient") => &["prawn", "salmon", "granite"],
        question if question.contains("prawn is an ingredient in B") => &["laksa", "hummus"],
        question if question.contains("salmon is an ingredient in B") => &["sushi", "gravlax"],
        _ => &[],
    }
}

const FALSE: [&str; 2] = ["granite is an ingredient", "prawn is an ingredient in hummus"];

fn answered(status: u16, body: &Value) -> HttpResponse {
    HttpResponse { status, headers: vec![], body: body.to_string().into_bytes() }
}

fn answer(request: &HttpRequest, able: Able) -> HttpResponse {
    let asked: Value = serde_json::from_slice(&request.body).expect("a question is JSON");
    assert_eq!((request.method.as_str(), &asked["model"]), ("POST", &json!("llama3.2")));
    if request.path == "/completions" {
        let text = asked["prompt"].as_str().expect("a text");
        assert_eq!((&asked["echo"], &asked["max_tokens"]), (&json!(true), &json!(1)));
        if !able.echo {
            return answered(404, &json!({ "detail": "Not Found" }));
        }
        // The longer, the less likely; the last token is the server's own.
        let number = -(text.len() as f64) / 100.0;
        let (head, tail) = text.split_at(text.len() / 2);
        let likelihoods = json!({ "tokens": [head, tail, " and"], "token_logprobs": [null, number, -9.0] });
        return answered(200, &json!({ "choices": [{ "text": text, "logprobs": likelihoods }] }));
    }
    assert_eq!(request.path, "/chat/completions");
    let asks = asked["logprobs"] == json!(true);
    if asks && able.likelihoods == Likelihoods::Refused {
        return answered(400, &json!({ "error": { "message": "logprobs are not supported" } }));
    }
    let question = asked["messages"][0]["content"].as_str().expect("a question");
    let pairs: Vec<(String, f64)> = if question.starts_with("List") {
        let line = |(number, value): (usize, &&str)| {
            [
                (format!("{}. ", number + 1), -0.1),
                ((*value).to_owned(), -(value.len() as f64)),
                (".\n".to_owned(), -0.1),
            ]
        };
        proposed(question).iter().enumerate().flat_map(line).collect()
    } else {
        let no = FALSE.iter().any(|sentence| question.contains(&format!("\"{sentence}\"")));
        vec![(if no { "No" } else { "Yes" }.to_owned(), -0.05), (".".to_owned(), -0.1)]
    };
    let text: String = pairs.iter().map(|(text, _)| text.as_str()).collect();
    let mut choice = json!({ "message": { "role": "assistant", "content": text }, "finish_reason": "stop" });
    if asks && able.likelihoods == Likelihoods::Told {
        let token = |(text, number): &(String, f64)| {
            let other = if text == "Yes" { "No" } else { "Yes" };
            json!({ "token": text, "logprob": number, "top_logprobs": [
                { "token": text, "logprob": number }, { "token": other, "logprob": -3.0 },
            ] })
        };
        choice["logprobs"] = json!({ "content": pairs.iter().map(token).collect::<Vec<_>>() });
    }
    answered(200, &json!({ "choices": [choice], "usage": { "total_tokens": 40 } }))
}

fn start(query: &str) -> Box<dyn Running> {
    let runner = find(RUNNERS, "link-own").expect("it is registered");
    let (values, problems) = Values::from_query(runner.specs, query);
    assert_eq!(problems, [], "{query}");
    block_on((runner.start)(&values, &host())).expect("the rule is right")
}

/// A whole run, and every question that was asked.
fn run(query: &str, able: Able) -> (Frame, Vec<HttpRequest>) {
    let asked = Rc::new(RefCell::new(vec![]));
    let heard = asked.clone();
    let host = host_asking(move |request| {
        let response = answer(&request, able);
        heard.borrow_mut().push(request);
        Ok(response)
    });
    let mut lab = start(query);
    while block_on(lab.step(&host)).expect("the script answers") == Status::Running {}
    let asked = asked.borrow().clone();
    (lab.frame(), asked)
}

fn table<'a>(frame: &'a Frame, id: &str) -> &'a Table {
    let panel = frame.panels.iter().find(|panel| panel.id == id).expect("the panel is there");
    let Body::Table(table) = &panel.body else { panic!("{id} is no table") };
    table
}

/// The cells of a column, by the name in the head.
fn column(table: &Table, name: &str) -> Vec<String> {
    let at = table.head.iter().position(|head| head == name).expect("the column is there");
    let text = |cell: &Cell| match cell {
        Cell::Text(text) => text.clone(),
        Cell::Number(number) => number.to_string(),
        Cell::Line { .. } => String::new(),
    };
    table.rows.iter().map(|row| text(&row[at])).collect()
}

fn counted(frame: &Frame, id: &str, part: &str) -> usize {
    column(table(frame, id), "to").iter().filter(|other| *other == part).count()
}

#[test]
fn a_server_that_can_everything_is_asked_each_thing_once() {
    let (frame, asked) = run("rule=hate&values=2", ALL);
    let statements = table(&frame, "statements");
    let values: Vec<(String, String)> = column(statements, "list").into_iter().zip(column(statements, "B")).collect();
    let pair = |list: &str, value: &str| (list.to_owned(), value.to_owned());
    // Of three true ones the best three quarters, which are three; likely first in the head, rare first in the tail.
    assert_eq!(
        values,
        [
            pair("tail", "gravlax"),
            pair("tail", "sushi"),
            pair("tail", "laksa"),
            pair("head", "laksa"),
            pair("head", "sushi"),
            pair("head", "gravlax"),
        ]
    );
    assert!(column(statements, "scale").iter().all(|scale| scale == "likelihood of the whole statement"));
    assert!(column(statements, "model").iter().all(|model| model == "llama3.2"));
    let said = column(statements, "statement");
    assert_eq!(said[2], "if GuestX dislikes taste of prawn, GuestX leaves aside laksa");
    // P(yes) of one answer: .951 against .050 that were said for the other side.
    let yes = (-0.05_f64).exp() / ((-0.05_f64).exp() + (-3.0_f64).exp());
    let shown = ((1000.0 * yes).round() / 1000.0).to_string();
    assert!(column(statements, "facts, P(yes)").iter().all(|number| *number == shown), "{shown}: {statements:?}");
    // Head and tail ask the same: each question is sent once, and none is left.
    let mut bodies: Vec<&[u8]> = asked.iter().map(|request| request.body.as_slice()).collect();
    bodies.sort_unstable();
    bodies.dedup();
    assert_eq!(bodies.len(), asked.len(), "nothing is asked twice");
    assert_eq!(frame.readouts()["requests"], asked.len() as f64);
    assert_eq!(frame.step as usize, asked.len(), "one request is one step");
    assert_eq!(counted(&frame, "requests", "propose"), 3);
    let lines = statements.json_lines();
    let first: Value = serde_json::from_str(lines.lines().next().expect("a line")).expect("it is JSON");
    assert_eq!((&first["list"], &first["Z"], &first["B"]), (&json!("tail"), &json!("salmon"), &json!("gravlax")));
    assert!(first["rule"].as_str().is_some_and(|rule| rule.starts_with("hate: leaves_aside(")));
}

#[test]
fn what_a_server_cannot_is_asked_in_another_way() {
    for (likelihoods, echo, scale) in [
        (Likelihoods::Told, false, "likelihood of the proposal"),
        (Likelihoods::LeftOut, false, "likelihood by the site's small model"),
        (Likelihoods::Refused, true, "likelihood of the whole statement"),
    ] {
        let (frame, asked) = run("rule=hate&values=2&budget=200", Able { likelihoods, echo });
        let statements = table(&frame, "statements");
        assert!(!statements.rows.is_empty(), "{scale}");
        assert!(column(statements, "scale").iter().all(|said| said == scale), "{scale}: {statements:?}");
        let verdicts: Vec<Value> = asked
            .iter()
            .map(|request| serde_json::from_slice::<Value>(&request.body).expect("JSON"))
            .filter(|body| body["messages"][0]["content"].as_str().is_some_and(|text| text.starts_with("Answer")))
            .collect();
        let of = |sentence: &str| {
            let said = |body: &&Value| body["messages"][0]["content"].to_string().contains(sentence);
            verdicts.iter().filter(said).collect::<Vec<_>>()
        };
        let drawn = of("salmon is an ingredient in sushi");
        match likelihoods {
            Likelihoods::Told => assert_eq!((drawn.len(), &drawn[0]["temperature"]), (1, &json!(0.0))),
            _ => {
                assert_eq!(drawn.len(), 3, "the share of yes in three answers");
                assert!(drawn.iter().all(|body| body["temperature"] == json!(0.7) && body.get("logprobs").is_none()));
            }
        }
        // It is remembered: likelihoods are asked for once in vain.
        let asks = |request: &&HttpRequest| String::from_utf8_lossy(&request.body).contains("top_logprobs");
        if likelihoods != Likelihoods::Told {
            assert_eq!(asked.iter().filter(asks).count(), 1);
        }
        let tried = asked.iter().filter(|request| request.path == "/completions").count();
        assert!(echo == (tried > 1) && tried > 0, "whether it echoes is tried once: {tried}");
    }
}

#[test]
fn a_rule_of_ones_own_without_any_likelihood_is_not_ranked() {
    let own = "own=sing: cannot_sing(Person *P, Song B) :- does_not_speak(P, Language A) %26 sung_in(B, A)%0A\
               | cannot_sing = \"[P] cannot sing [B]\"%0A| does_not_speak = \"[P] does not speak [A]\"%0A\
               | sung_in = \"[B] is sung in [A]\"";
    let host = host_asking(|request| {
        let asked: Value = serde_json::from_slice(&request.body).expect("JSON");
        let question = asked["messages"][0]["content"].as_str().unwrap_or_default();
        let text = match question {
            _ if request.path == "/completions" => return Ok(answered(404, &json!({}))),
            text if text.starts_with("List") && text.contains("for A, each a language") => "1. Welsh.\n2. Finnish.",
            text if text.starts_with("List") && text.contains("welsh") => "- Calon Lân",
            text if text.starts_with("List") => "- Finlandia",
            _ => "**Yes**, it is.",
        };
        Ok(answered(200, &json!({ "choices": [{ "message": { "content": text } }] })))
    });
    let mut lab = start(own);
    while block_on(lab.step(&host)).expect("the script answers") == Status::Running {}
    let frame = lab.frame();
    let statements = table(&frame, "statements");
    assert_eq!(column(statements, "B"), ["calon lân", "finlandia", "calon lân", "finlandia"]);
    assert!(column(statements, "scale").iter().all(|scale| scale.starts_with("none: the server tells no likelihoods")));
    assert_eq!(column(statements, "list"), ["second list", "second list", "first list", "first list"]);
    assert!(column(statements, "nats a token").iter().all(|number| number == "—"));
}

#[test]
fn without_an_address_it_says_what_to_do_and_waits() {
    let mut lab = start("");
    assert_eq!(block_on(lab.step(&host())), Ok(Status::Idle));
    let said = |lab: &dyn Running| lab.frame().panels[0].spoken();
    assert!(said(&*lab).starts_with("Type the address of your server"), "{}", said(&*lab));
    let first = column(table(&lab.frame(), "requests"), "asked");
    assert!(first[0].starts_with("List 4 different values for Z, each an ingredient, so that"), "{first:?}");
    // With one it goes on from there.
    let host = host_asking(|request| Ok(answer(&request, ALL)));
    assert_eq!(block_on(lab.step(&host)), Ok(Status::Running));
    assert!(said(&*lab).starts_with("1 request of at most 60 answered. The last row"));
}

#[test]
fn the_budget_holds_and_can_be_raised() {
    let asked = Rc::new(RefCell::new(0));
    let heard = asked.clone();
    let host = host_asking(move |request| {
        *heard.borrow_mut() += 1;
        Ok(answer(&request, ALL))
    });
    let mut lab = start("budget=5");
    let mut last = Status::Running;
    for _ in 0..12 {
        last = block_on(lab.step(&host)).expect("the script answers");
    }
    assert_eq!((last, *asked.borrow()), (Status::Idle, 5));
    assert!(lab.frame().panels[0].spoken().contains("5 requests of at most 5 answered. Allow more and press Play"));
    let runner = find(RUNNERS, "link-own").expect("it is registered");
    let (values, _) = Values::from_query(runner.specs, "budget=500");
    block_on(lab.change(&values, &host)).expect("a budget is taken");
    while block_on(lab.step(&host)).expect("the script answers") == Status::Running {}
    assert!(!table(&lab.frame(), "statements").rows.is_empty());
}

/// What fails leaves the run as it was, and the next try goes on.
#[test]
fn a_failure_is_told_and_loses_nothing() {
    let mut lab = start("");
    let good = host_asking(|request| Ok(answer(&request, ALL)));
    for _ in 0..2 {
        block_on(lab.step(&good)).expect("the script answers");
    }
    let before = lab.frame();
    let no = |status: u16, body: &'static str| {
        host_asking(move |_| Ok(HttpResponse { status, headers: vec![], body: body.as_bytes().to_vec() }))
    };
    for (host, part) in [
        (no(401, ""), "Type the key"),
        (no(404, r#"{"error":{"message":"model not found"}}"#), "knows no model “llama3.2”"),
        (no(429, ""), "Wait a while"),
        (no(500, ""), "The server failed"),
        (no(200, "<html>"), "is not that of a chat: “<html>”"),
        (no(200, "{}"), "is not that of a chat"),
        (no(200, r#"{"choices":[]}"#), "is not that of a chat"),
    ] {
        match block_on(lab.step(&host)) {
            Err(LabError::Http { message }) => assert!(message.contains(part), "{message}"),
            other => panic!("{part}: {other:?}"),
        }
        let bodies = |frame: &Frame| [0, 1, 2].map(|panel| frame.panels[panel].body.clone());
        assert!(bodies(&lab.frame()) == bodies(&before), "{part}: it changed the run");
    }
    assert!(lab.frame().panels[0].spoken().contains("7 more brought nothing"));
    assert_eq!(block_on(lab.step(&good)), Ok(Status::Running));
}

#[test]
fn a_run_goes_on_from_its_answers() {
    for able in [ALL, Able { likelihoods: Likelihoods::Refused, echo: false }] {
        let host = host_asking(move |request| Ok(answer(&request, able)));
        let mut saved = start("budget=300");
        for _ in 0..17 {
            block_on(saved.step(&host)).expect("the script answers");
        }
        let state = block_on(saved.save()).expect("plain numbers");
        let bytes = postcard::to_allocvec(&state).expect("plain data");
        let state = postcard::from_bytes(&bytes).expect("it was just written");
        let mut restored = start("budget=300");
        // Nobody is asked for what is known.
        block_on(restored.restore(&state, &crate::site::host())).expect("the same lab saved it");
        assert!(restored.frame() == saved.frame());
        for lab in [&mut saved, &mut restored] {
            while block_on(lab.step(&host)).expect("the script answers") == Status::Running {}
        }
        assert!(restored.frame() == saved.frame());
        // A state of another rule is refused.
        assert!(block_on(start("rule=eat").restore(&state, &host)).is_err());
    }
}

#[test]
fn likelihoods_are_read_in_both_forms() {
    let chat = |first: Value| {
        let body = json!({ "choices": [{ "message": { "content": "x" }, "logprobs": first }] });
        read_reply(body.to_string().as_bytes()).expect("a reply")
    };
    let token = |text: &str, number: f64| json!({ "token": text, "logprob": number });
    let one = |all: Vec<Value>| {
        chat(json!({ "content": [{ "token": " ", "logprob": 0.0, "top_logprobs": [] },
                                 { "token": "Yes", "logprob": -0.5, "top_logprobs": all }] }))
    };
    let near = |reply, wanted: f64| {
        let found = yes_by_likelihood(&reply).expect("it tells");
        assert!((found - wanted).abs() < 1e-9, "{found} and {wanted}");
    };
    // Whatever the case and the space before; all spellings of a side count.
    let (yes, no) = (0.5_f64, 0.25_f64);
    let both = vec![token(" YES", yes.ln() - 1.0), token("yes", yes.ln() - 1.0), token("no", no.ln() - 1.0)];
    near(one(both), 0.8);
    // A side that is missing has the smallest that is listed.
    near(one(vec![token("Yes", 0.6_f64.ln()), token("Maybe", 0.2_f64.ln())]), 0.75);
    near(one(vec![token("No", 0.6_f64.ln()), token("Maybe", 0.2_f64.ln())]), 0.25);
    assert_eq!(yes_by_likelihood(&one(vec![token("Maybe", -1.0), token("Well", -2.0)])), None);
    assert_eq!(yes_by_likelihood(&one(vec![token("Yes", -1.0)])), None, "one entry says nothing of the other side");
    let older =
        chat(json!({ "tokens": ["Yes"], "token_logprobs": [-0.1], "top_logprobs": [{ "Yes": -0.1, "No": -2.1 }] }));
    assert!(tells_likelihoods(&older));
    near(older, 1.0 / (1.0 + (-2.0_f64).exp()));
    for none in [json!(null), json!({}), json!({ "content": null })] {
        assert!(!tells_likelihoods(&chat(none)));
    }
    for (text, said) in
        [("Yes.", Some(true)), (" **NO**", Some(false)), ("Yesterday", None), ("", None), ("I think yes", None)]
    {
        assert_eq!(verdict(text), said, "{text}");
    }
}

#[test]
fn an_echo_counts_the_texts_own_tokens() {
    let body = |tokens: &[&str], numbers: &[Option<f64>]| {
        json!({ "choices": [{ "logprobs": { "tokens": tokens, "token_logprobs": numbers } }] }).to_string().into_bytes()
    };
    let read = |tokens: &[&str], numbers: &[Option<f64>]| read_likelihood(&body(tokens, numbers), "ab cd");
    assert_eq!(read(&["ab", " cd", " ef"], &[None, Some(-2.0), Some(-9.0)]), Some(-2.0));
    assert_eq!(read(&[" a", "b", " cd", "."], &[None, Some(-1.0), Some(-2.0), Some(-9.0)]), Some(-1.5));
    assert_eq!(read(&["ab", " cd"], &[Some(-1.0), Some(-2.0)]), Some(-1.5));
    // No echo, another text, no number: it cannot be told.
    assert_eq!(read(&[" ef"], &[Some(-1.0)]), None);
    assert_eq!(read(&["ab"], &[None]), None);
    assert_eq!(read_likelihood(b"{}", "ab cd"), None);
    assert_eq!(read_likelihood(b"no JSON", "ab cd"), None);
    // Python's JSON has numbers that are none, also where texts name them; and no likelihood is above 1.
    let python =
        br#"{"choices":[{"logprobs":{"tokens":["ab"," cd"],"token_logprobs":[-Infinity,-1.5]},"text":"\"NaN\\"}]}"#;
    assert_eq!(read_likelihood(python, "ab cd"), Some(-1.5));
    assert_eq!(read(&["ab", " cd"], &[None, Some(7.0)]), None);
}

#[test]
fn a_value_has_the_likelihood_of_its_own_words() {
    let content: Vec<Value> =
        [("1. ", -0.1), ("Soy", -2.0), (" sauce", -4.0), (".\n2. ", -0.1), ("Miso", -1.0), (".", -0.1)]
            .iter()
            .map(|(text, number)| json!({ "token": text, "logprob": number, "top_logprobs": [] }))
            .collect();
    let body = json!({ "choices": [{ "message": { "content": "1. Soy sauce.\n2. Miso." }, "logprobs": { "content": content } }] });
    let reply = read_reply(body.to_string().as_bytes()).expect("a reply");
    assert_eq!(read_values(&reply.text), ["soy sauce", "miso"]);
    assert_eq!(likelihood_of_value(&reply, "soy sauce"), Some(-3.0));
    assert_eq!(likelihood_of_value(&reply, "miso"), Some(-1.0));
    assert!(likelihood_of_value(&reply, "not there").is_some_and(|mean| (mean + 7.3 / 6.0).abs() < 1e-9));
    assert_eq!(read_values("Here you are:\n* Tofu\n* Rice (white)"), ["tofu", "rice"]);
    assert_eq!(
        read_reply(br#"{"choices":[{"message":{"content":null}}]}"#).map(|reply| reply.text),
        Some(String::new())
    );
}

#[test]
fn a_question_says_what_is_known_already() {
    let known = ["laksa".to_owned(), "sushi".to_owned()];
    assert_eq!(
        proposal_question("B", "dish", "prawn is an ingredient in B", 12, &known),
        "List 12 different values for B, each a dish, so that this sentence is true: \"prawn is an ingredient in B\". \
         One per line as \"1. value.\" and nothing else. Do not use: laksa, sushi."
    );
    assert_eq!(
        proposal_question("A", "allergen", "", 1, &[]),
        "List one value for A, an allergen. One per line as \"1. value.\" and nothing else."
    );
    let many: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    assert!(proposal_question("A", "year", "", 2, &many).ends_with("Do not use: 60, 61, 62, 63, 64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 80, 81, 82, 83, 84, 85, 86, 87, 88, 89, 90, 91, 92, 93, 94, 95, 96, 97, 98, 99."));
}

/// A world has no such facts, and a server may.
#[test]
fn a_fact_of_any_kind_needs_a_sentence_alone() {
    let base = KnowledgeBase::default();
    let rule = "cannot_sing(Person *P, Song B) :- does_not_speak(P, Language A) & sung_in(B, A)\n\
                | cannot_sing = \"[P] cannot sing [B]\"\n| does_not_speak = \"[P] does not speak [A]\"";
    let whole = format!("{rule}\n| sung_in = \"[B] is sung in [A]\"");
    assert_eq!(parse(&whole, &base).unwrap_err().code, Code::UnknownPredicate);
    assert_eq!(parse_open(&whole, &base).unwrap()[0].premises[1].template, "[B] is sung in [A]");
    let error = parse_open(rule, &base).unwrap_err();
    assert_eq!((error.code, error.line, error.column), (Code::UnknownPredicate, 1, 67));
    assert!(error.expected.starts_with("“sung_in” needs a sentence"), "{error}");
    // What the world has keeps its types, unless it is said in other words.
    let menu = "hate: leaves_aside(Guest *P, Song B) :- dislikes_taste_of(P, Ingredient Z) & ingredient_in(Z, B)\n\
                | leaves_aside = \"[P] leaves aside [B]\"\n| dislikes_taste_of = \"[P] dislikes taste of [Z]\"";
    assert_eq!(parse_open(menu, &base).unwrap_err().code, Code::TypeMismatch);
    let said = format!("{menu}\n| ingredient_in = \"[Z] is mentioned in [B]\"");
    assert_eq!(parse_open(&said, &base).unwrap()[0].premises[1].template, "[Z] is mentioned in [B]");
}

#[test]
fn a_table_is_json_line_by_line() {
    let text = |text: &str| Cell::Text(text.to_owned());
    let table = Table::new(
        ["name", "true", "true"].map(str::to_owned).to_vec(),
        vec![vec![text("a \"b\"\n"), Cell::Number(0.5), Cell::Number(f64::NAN)], vec![text("short")]],
    );
    assert_eq!(
        table.json_lines(),
        "{\"name\":\"a \\\"b\\\"\\n\",\"true\":0.5,\"true 2\":null}\n{\"name\":\"short\"}\n"
    );
    let line: BTreeMap<String, Value> = serde_json::from_str(table.json_lines().lines().next().unwrap()).unwrap();
    assert_eq!(line.len(), 3);
}

/// Asks a server on this machine as the page would, without a browser's rules.
fn ask(address: &str, request: &HttpRequest) -> std::io::Result<HttpResponse> {
    let (host, base) = address.trim_start_matches("http://").split_once('/').expect("an address with a path");
    let mut stream = std::net::TcpStream::connect(host)?;
    let head = format!(
        "POST /{base}{} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        request.path,
        request.body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(&request.body)?;
    let mut answer = vec![];
    stream.read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("an answer has a head");
    let status = String::from_utf8_lossy(&answer[..end]).split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok(HttpResponse { status: status.expect("a head has a status"), headers: vec![], body: answer[end + 4..].to_vec() })
}

/// What a small model says is not known; that all of it is read, is.
#[test]
fn a_real_server_is_read() {
    let Ok(address) = std::env::var("HT_MODEL_SERVER") else {
        eprintln!("skipped: `cargo xtask test --hosts` starts a real server and runs this");
        return;
    };
    let host = host_asking(move |request| {
        ask(&address, &request).map_err(|error| LabError::Http { message: error.to_string() })
    });
    // So small a model knows little: what it says most of all must pass, so that there is something to score.
    let mut lab = start("rule=hate&values=4&calls=8&threshold=0.5&floor=0&thresholds=paper&budget=300");
    while block_on(lab.step(&host)).expect("the server answers") == Status::Running {}
    let frame = lab.frame();
    let requests = table(&frame, "requests");
    println!("{}\n{}", requests.json_lines(), table(&frame, "statements").json_lines());
    assert!(column(requests, "read as").iter().any(|said| said.starts_with("P(yes) ")), "no likelihoods: {requests:?}");
    assert!(column(requests, "read as").iter().any(|said| said.ends_with(" nats a token")), "no echo: {requests:?}");
    assert!(frame.readouts()["tokens"] > 0.0);
}
