//! Vectors of the search by rules (LINK): the paper's code with scripted models, and a second reading of the rule language.

use std::collections::BTreeMap;

use heads_and_tails::mech::rule_search::{
    Atom, Call, Candidate, Critic, Dynamics, Fate, Kind, KnowledgeBase, Need, Order, Polarity, Reason, Rule, Search,
    SearchConfig, Side, Step, Variable, parse, strict,
};
use serde_json::Value;

use super::{count, field, near, number, numbers};

/// A rule in the paper's JSON form.
fn paper_rule(value: &Value) -> Rule {
    let variables: Vec<Variable> = field(value, "variables")
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, about)| {
            let [_, datatype, generic, node] = &about.as_array().unwrap()[..] else {
                panic!("four facts of a variable")
            };
            let kind = match (generic.as_bool().unwrap(), node.as_str()) {
                (true, _) => Kind::Generic,
                (false, Some("factual")) => Kind::Factual,
                (false, _) => Kind::Searched,
            };
            Variable { name: name.clone(), datatype: datatype.as_str().unwrap().to_owned(), kind }
        })
        .collect();
    let atom = |(written, template): (&String, &Value)| {
        let (predicate, rest) = written.split_once('(').unwrap();
        let names: Vec<&str> = rest.trim_end_matches(')').split(',').map(str::trim).collect();
        let place = |name: &str| variables.iter().position(|variable| variable.name == name).unwrap();
        let arguments = [place(names[0]), place(names[1])];
        Atom { predicate: predicate.to_owned(), arguments, template: template.as_str().unwrap().to_owned() }
    };
    let atoms = |key: &str| field(value, key).as_object().unwrap().iter().map(atom).collect::<Vec<_>>();
    Rule {
        label: String::new(),
        premises: atoms("premise"),
        conclusion: atoms("conclusion").remove(0),
        variables: variables.clone(),
        domain: None,
        polarity: Polarity::Cannot,
    }
}

fn texts(value: &Value, key: &str) -> Vec<String> {
    field(value, key).as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    field(value, key).as_str().unwrap()
}

fn names(rule: &Rule, order: Order) -> Vec<String> {
    rule.order(order).into_iter().map(|variable| rule.variables[variable].name.clone()).collect()
}

/// Orders, and what is asked and scored at each step.
pub fn rules(case: &Value) {
    let rule = paper_rule(field(case, "rule"));
    let written = |atoms: Vec<usize>| {
        let mut atoms: Vec<String> = atoms.into_iter().map(|atom| rule.written(atom)).collect();
        atoms.sort();
        atoms
    };
    assert_eq!(written(rule.hypothetical().collect()), texts(case, "information_edges"));
    assert_eq!(written(rule.checkable().collect()), texts(case, "constraint_edges"));
    assert_eq!(names(&rule, Order::ConclusionFirst), texts(case, "conclusion_first_order"));
    assert_eq!(names(&rule, Order::PremiseFirst), texts(case, "premise_first_order"));
    let order = rule.usual_order();
    let premise_first = text(case, "used_traversal") == "premise";
    assert_eq!(order, if premise_first { Order::PremiseFirst } else { Order::ConclusionFirst });

    let mut values = vec![None; rule.variables.len()];
    let generic = rule.generic_value();
    values[rule.generic()] = Some(generic.as_str());
    let steps = rule.steps(order);
    let wanted = field(case, "steps").as_array().unwrap();
    assert_eq!(steps.len(), wanted.len());
    let stand_ins: Vec<String> =
        rule.variables.iter().map(|variable| format!("v{}", variable.name.to_lowercase())).collect();
    for (step, wanted) in steps.iter().zip(wanted) {
        assert_eq!(rule.variables[step.variable].name, text(wanted, "variable"));
        values[step.variable] = Some(&stand_ins[step.variable]);
        let written = |atoms: &[usize]| atoms.iter().map(|&atom| rule.written(atom)).collect::<Vec<_>>();
        assert_eq!(written(&step.prompt), texts(wanted, "prompt_predicates"));
        assert_eq!(written(&step.ranking), texts(wanted, "ranking_predicates"));
        assert_eq!(rule.say_all(&step.ranking, &values), text(wanted, "ranking_text"));
    }
}

fn critic_of(case: &Value, floor: &str) -> Critic {
    Critic {
        threshold: number(case, "threshold"),
        floor: number(case, floor),
        step: number(case, "step"),
        dynamics: Dynamics::Code,
        accumulate: field(case, "accumulate").as_bool().unwrap(),
        least: 0.0,
        facts_first: true,
    }
}

/// Confidences, thresholds and verdicts of one call.
pub fn verdicts(case: &Value) {
    let mut critic = critic_of(case, "lowest_datatype_threshold");
    critic.facts_first = text(case, "which_first") == "factual";
    assert!(field(case, "dynamic").as_bool().unwrap(), "thresholds that stand still are not built");
    let way = |earlier: &str, own: f64| {
        let mut way = numbers(case, earlier);
        way.push(own);
        way
    };
    let candidates: Vec<Candidate> = numbers(case, "datatype_yes")
        .into_iter()
        .zip(numbers(case, "factual_yes"))
        .map(|(datatype, factual)| Candidate {
            datatype: way("previous_datatype_yes", datatype),
            factual: way("previous_factual_yes", factual),
            has_fact: true,
        })
        .collect();
    let judged = critic.judge(&candidates, number(case, "factual_start_threshold"));
    // The vectors list means even where this value's own confidence is what counts.
    let means = Critic { accumulate: true, ..critic.clone() }.judge(&candidates, 0.0);
    near("datatype", &means.datatype, &numbers(case, "accumulated_datatype"), 0.0, 1e-6);
    near("factual", &means.factual, &numbers(case, "accumulated_factual"), 0.0, 1e-6);
    near("threshold", &[judged.datatype_threshold], &[number(case, "datatype_threshold_used")], 0.0, 1e-6);
    near("threshold", &[judged.factual_threshold], &[number(case, "factual_threshold_used")], 0.0, 1e-6);
    assert_eq!(judged.rose, field(case, "threshold_changed").as_bool().unwrap());
    let accepted: Vec<usize> = (0..candidates.len()).filter(|&index| judged.verdicts[index].is_none()).collect();
    let wanted: Vec<usize> = numbers(case, "accepted_indices").into_iter().map(|index| index as usize).collect();
    assert_eq!(accepted, wanted);
    let said = |verdict: &Option<Reason>| match verdict {
        None => "accepted",
        Some(Reason::Fact) => "-out_verifier_factual",
        Some(Reason::Datatype) => "-out_verifier_datatype",
    };
    assert_eq!(judged.verdicts.iter().map(said).collect::<Vec<_>>(), texts(case, "verdicts"));
}

/// A whole search, driven by a script.
pub fn search(case: &Value) {
    let rule = paper_rule(field(case, "rule"));
    let order = if names(&rule, Order::PremiseFirst) == texts(case, "order") {
        Order::PremiseFirst
    } else {
        Order::ConclusionFirst
    };
    let (values, beam) = (count(case, "n_sample"), count(case, "beam_size"));
    let critic = critic_of(case, "lowest_threshold");
    let keep = number(case, "ranker_accept_ratio");
    let config = SearchConfig { values, calls: beam / values, beam, keep, rerank: true, repetition: 0.0, critic };
    let mut search = Search::new(rule, order, config);
    let mut beams: Vec<[Vec<Vec<String>>; 2]> = vec![];
    let way = |search: &Search, node: usize| -> Vec<String> {
        let values = search.values(Some(node));
        search.steps()[..=search.nodes()[node].turn].iter().map(|step| values[step.variable].clone().unwrap()).collect()
    };
    loop {
        let before = search.turn();
        match search.needs() {
            Need::Nothing => break,
            Need::Values(calls) => {
                let reply = |call: &Call| {
                    let steps = &search.steps()[..search.turn()];
                    let known = search.values(call.node);
                    let named = |step: &Step| {
                        format!(
                            "{}={}",
                            search.rule().variables[step.variable].name,
                            known[step.variable].as_ref().unwrap()
                        )
                    };
                    let context = steps.iter().map(named).collect::<Vec<_>>().join(";");
                    let variable = &search.rule().variables[search.steps()[search.turn()].variable].name;
                    let key = format!("{variable}|{context}");
                    let batch = &field(field(case, "proposals"), &key)[call.call];
                    batch.as_array().unwrap().iter().map(|value| value.as_str().unwrap().to_owned()).collect()
                };
                let replies = calls.iter().map(reply).collect();
                search.propose(replies);
            }
            Need::Verdicts(nodes) => {
                let answer = |&node: &usize| {
                    let datatype = number(field(case, "datatype_yes"), &search.nodes()[node].value);
                    let values = search.values(Some(node));
                    let values: Vec<Option<&str>> = values.iter().map(Option::as_deref).collect();
                    let fact = search.fact(node).map(|atom| search.rule().say(atom, &values));
                    (datatype, fact.map(|fact| number(field(case, "factual_yes"), &fact)))
                };
                let answers: Vec<(f64, Option<f64>)> = nodes.iter().map(answer).collect();
                search.verify(&answers);
            }
            Need::Scores(nodes) => {
                let score = |&node: &usize| number(field(case, "loglik"), &search.partial_statement(node));
                let scores: Vec<f64> = nodes.iter().map(score).collect();
                search.rank(&scores);
            }
        }
        if search.turn() > before {
            let beam = |side| search.beam(side).iter().map(|&node| way(&search, node)).collect();
            beams.push([beam(Side::Head), beam(Side::Tail)]);
        }
    }
    let wanted_beam = |value: &Value| -> Vec<Vec<String>> { serde_json::from_value(value.clone()).unwrap() };
    for wanted in field(case, "steps").as_array().unwrap() {
        let turn = field(wanted, "searched").as_array().unwrap().len() - 2;
        let side = usize::from(text(wanted, "distribution") == "tail");
        assert_eq!(beams[turn][side], wanted_beam(field(wanted, "beam")), "turn {turn}, list {side}");
    }
    let last = beams.last().unwrap();
    assert_eq!(last[0], wanted_beam(field(case, "head")));
    assert_eq!(last[1], wanted_beam(field(case, "tail")));
    for (side, name) in [(Side::Head, "head"), (Side::Tail, "tail")] {
        let mut counts = BTreeMap::from([("out_verifier_factual", 0), ("out_verifier_datatype", 0), ("out_ranker", 0)]);
        for node in search.nodes().iter().filter(|node| node.side.is_none_or(|mine| mine == side)) {
            let key = match node.fate {
                Fate::Struck(Reason::Fact) => "out_verifier_factual",
                Fate::Struck(Reason::Datatype) => "out_verifier_datatype",
                Fate::Cut => "out_ranker",
                Fate::Waiting | Fate::Alive => continue,
            };
            *counts.get_mut(key).unwrap() += 1;
        }
        let wanted = field(field(case, "rejections"), name);
        for (key, got) in counts {
            assert_eq!(got, wanted.get(key).map_or(0, |count| count.as_u64().unwrap()), "{name}: {key}");
        }
    }
}

/// The strict reading of a model's list.
pub fn proposals(case: &Value) {
    assert_eq!(strict(text(case, "raw")), texts(case, "values"), "{}", text(case, "name"));
}

fn same_rule(rule: &Rule, wanted: &Value) {
    let name = |variable: usize| rule.variables[variable].name.as_str();
    assert_eq!(rule.label, text(wanted, "label"));
    assert_eq!(name(rule.generic()), text(wanted, "generic"));
    assert_eq!(name(rule.object()), text(wanted, "conclusion_object"));
    let types: BTreeMap<String, String> = serde_json::from_value(field(wanted, "types").clone()).unwrap();
    let got = rule.variables.iter().map(|variable| (variable.name.clone(), variable.datatype.clone()));
    assert_eq!(got.collect::<BTreeMap<_, _>>(), types);
    let factual = rule.variables.iter().filter(|variable| variable.kind == Kind::Factual);
    assert_eq!(factual.map(|variable| variable.name.clone()).collect::<Vec<_>>(), texts(wanted, "factual"));
    let checked = rule.checkable().map(|atom| rule.atom(atom).predicate.clone());
    assert_eq!(checked.collect::<Vec<_>>(), texts(wanted, "verified_predicates"));
    assert_eq!(names(rule, Order::PremiseFirst), texts(wanted, "premise_first_order"));
    assert_eq!(names(rule, Order::ConclusionFirst), texts(wanted, "conclusion_first_order"));
    assert_eq!(rule.domain.as_deref(), field(wanted, "domain").as_str());
    let polarity = if text(wanted, "polarity") == "can" { Polarity::Can } else { Polarity::Cannot };
    assert_eq!(rule.polarity, polarity);
}

/// A text: its rules, or the first thing that is wrong with it.
pub fn language(case: &Value) {
    let parsed = parse(text(case, "text"), &KnowledgeBase::default());
    if field(case, "ok").as_bool().unwrap() {
        let rules = parsed.unwrap();
        let wanted = field(case, "rules").as_array().unwrap();
        assert_eq!(rules.len(), wanted.len());
        rules.iter().zip(wanted).for_each(|(rule, wanted)| same_rule(rule, wanted));
    } else {
        let error = parsed.unwrap_err();
        let got = (error.code.to_string(), error.line, error.column);
        assert_eq!(got, (text(case, "error").to_owned(), count(case, "line"), count(case, "column")), "{error}");
    }
}

/// The rules of the menu, one case for the whole file.
pub fn menu(file: &Value) {
    let rules = parse(text(file, "text"), &KnowledgeBase::default()).unwrap();
    let wanted = field(file, "rules").as_array().unwrap();
    assert_eq!(rules.len(), wanted.len());
    rules.iter().zip(wanted).for_each(|(rule, wanted)| same_rule(rule, wanted));
}

/// The world, as the library carries it.
pub fn world(file: &Value) {
    let read = KnowledgeBase::from_json(&file.to_string()).unwrap();
    assert_eq!(KnowledgeBase::from_json(&read.to_json()).unwrap(), read);
}
