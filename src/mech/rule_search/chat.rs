//! A search's questions in the form that OpenAI-compatible servers take, and their answers.
//!
//! Plain texts in and out: who sends them is not known here. What a server cannot do, it says in its answer, and each
//! question has a way without it.

use serde_json::{Map, Value, json};

use super::proposals::{lenient, strict};

/// Alternatives of a token whose likelihood is asked for.
const ALTERNATIVES: usize = 5;
/// Tokens of an answer: those of a list, for each of its values, and those of yes or no.
const TOKENS_A_VALUE: usize = 16;
const TOKENS_OF_VERDICT: usize = 8;
/// Values that a server is told not to repeat.
const MOST_FORBIDDEN: usize = 40;

/// A token of an answer, and what else might have stood there.
#[derive(Clone, Debug, PartialEq)]
pub struct ChatToken {
    pub text: String,
    /// In nats.
    pub log_probability: f64,
    pub alternatives: Vec<(String, f64)>,
}

/// An answer of a server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChatReply {
    pub text: String,
    /// None, where the server does not tell likelihoods.
    pub tokens: Vec<ChatToken>,
    /// Tokens of question and answer together, where it tells them.
    pub used: Option<u64>,
}

/// What is asked, in words.
pub fn proposal_question(variable: &str, datatype: &str, sentence: &str, values: usize, known: &[String]) -> String {
    let count = if values == 1 { "one value".to_owned() } else { format!("{values} different values") };
    let each = if values == 1 { "" } else { "each " };
    let such =
        if sentence.is_empty() { String::new() } else { format!(", so that this sentence is true: \"{sentence}\"") };
    let forbidden = &known[known.len().saturating_sub(MOST_FORBIDDEN)..];
    let but = if forbidden.is_empty() { String::new() } else { format!(" Do not use: {}.", forbidden.join(", ")) };
    format!(
        "List {count} for {variable}, {each}{} {datatype}{such}. One per line as \"1. value.\" and nothing else.{but}",
        article(datatype)
    )
}

/// Whether something is true, asked so that the answer begins with yes or no.
pub fn verdict_question(sentence: &str) -> String {
    format!("Answer yes or no. In ordinary life, is this true: \"{sentence}\"?")
}

/// What is asked of a value's type.
pub fn type_sentence(value: &str, datatype: &str) -> String {
    format!("{value} is {} {datatype}", article(datatype))
}

fn article(word: &str) -> &'static str {
    if word.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}

/// The body of a request for values, to `/chat/completions`.
pub fn proposal_body(model: &str, question: &str, values: usize, temperature: f64, likelihoods: bool) -> Vec<u8> {
    chat_body(model, question, temperature, (values + 2) * TOKENS_A_VALUE, likelihoods)
}

/// The body of a request for a verdict, to `/chat/completions`. With likelihoods one answer tells P(yes), and the usual
/// one is enough; else several are drawn.
pub fn verdict_body(model: &str, question: &str, temperature: f64, likelihoods: bool) -> Vec<u8> {
    chat_body(model, question, if likelihoods { 0.0 } else { temperature }, TOKENS_OF_VERDICT, likelihoods)
}

fn chat_body(model: &str, question: &str, temperature: f64, tokens: usize, likelihoods: bool) -> Vec<u8> {
    let mut body = Map::new();
    body.insert("model".to_owned(), json!(model));
    body.insert("messages".to_owned(), json!([{ "role": "user", "content": question }]));
    body.insert("temperature".to_owned(), json!(temperature));
    body.insert("max_tokens".to_owned(), json!(tokens));
    if likelihoods {
        body.insert("logprobs".to_owned(), json!(true));
        body.insert("top_logprobs".to_owned(), json!(ALTERNATIVES));
    }
    Value::Object(body).to_string().into_bytes()
}

/// The body of a request for a text's likelihood, to `/completions`. One token more is asked for, since some servers take
/// none for without end.
pub fn likelihood_body(model: &str, text: &str) -> Vec<u8> {
    let body = json!({
        "model": model, "prompt": text, "max_tokens": 1, "temperature": 0, "echo": true, "logprobs": 1,
    });
    body.to_string().into_bytes()
}

/// Reads an answer of `/chat/completions`; nothing if it is in another form.
pub fn read_reply(body: &[u8]) -> Option<ChatReply> {
    let answer = read_json(body)?;
    let choice = answer.get("choices")?.get(0)?;
    let message = choice.get("message")?;
    // A model that was cut while it thought has said nothing yet.
    let text = message.get("content")?.as_str().unwrap_or_default().to_owned();
    let tokens = choice.get("logprobs").map(read_tokens).unwrap_or_default();
    let used = answer.get("usage").and_then(|usage| usage.get("total_tokens")?.as_u64());
    Some(ChatReply { text, tokens, used })
}

/// Reads an answer in which a number may be written as some servers write one that is none.
fn read_json(body: &[u8]) -> Option<Value> {
    let strictly = serde_json::from_slice(body).ok();
    strictly.or_else(|| serde_json::from_str(&without_infinities(std::str::from_utf8(body).ok()?)).ok())
}

/// A text of JSON with `null` for `NaN` and `Infinity`, which Python writes and JSON does not know.
fn without_infinities(text: &str) -> String {
    // Every second part stands between quotation marks, of which those behind a backslash are part of a text.
    let hidden = text.replace("\\\\", "\u{0}").replace("\\\"", "\u{1}");
    let part = |(place, part): (usize, &str)| match place % 2 {
        0 => part.replace("-Infinity", "null").replace("Infinity", "null").replace("NaN", "null"),
        _ => part.to_owned(),
    };
    let parts: Vec<String> = hidden.split('"').enumerate().map(part).collect();
    parts.join("\"").replace('\u{1}', "\\\"").replace('\u{0}', "\\\\")
}

/// A log-likelihood, which is not above 0; a little, for servers that round.
fn log_likelihood(number: &Value) -> Option<f64> {
    number.as_f64().filter(|number| *number <= 1e-3)
}

/// Likelihoods as chats have them or, on older servers, as completions do.
fn read_tokens(likelihoods: &Value) -> Vec<ChatToken> {
    let listed = |token: &Value| {
        let pair =
            |token: &Value| Some((token.get("token")?.as_str()?.to_owned(), log_likelihood(token.get("logprob")?)?));
        let (text, log_probability) = pair(token)?;
        let alternatives = token.get("top_logprobs").and_then(Value::as_array).into_iter().flatten();
        Some(ChatToken { text, log_probability, alternatives: alternatives.filter_map(pair).collect() })
    };
    if let Some(content) = likelihoods.get("content").and_then(Value::as_array) {
        return content.iter().map_while(listed).collect();
    }
    let list = |key: &str| likelihoods.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let alternatives = list("top_logprobs");
    let token = |(place, (text, likelihood)): (usize, (&Value, &Value))| {
        let others = alternatives.get(place).and_then(Value::as_object).into_iter().flatten();
        Some(ChatToken {
            text: text.as_str()?.to_owned(),
            log_probability: log_likelihood(likelihood)?,
            alternatives: others.filter_map(|(text, number)| Some((text.clone(), log_likelihood(number)?))).collect(),
        })
    };
    list("tokens").iter().zip(&list("token_logprobs")).enumerate().map_while(token).collect()
}

/// The values that an answer lists: as the paper's code reads them or, where that finds none, in any form of a list; in
/// lower case, so that one name is one value.
pub fn read_values(text: &str) -> Vec<String> {
    let mut values = strict(text);
    if values.is_empty() {
        values = lenient(text);
    }
    values.into_iter().map(|value| value.to_lowercase()).collect()
}

/// P(yes) from the likelihoods of an answer's first word; nothing where the server tells none, or neither is among them.
pub fn yes_by_likelihood(reply: &ChatReply) -> Option<f64> {
    let first = reply.tokens.iter().find(|token| !token.text.trim().is_empty())?;
    // One entry says nothing of the other side.
    let least = first.alternatives.iter().map(|(_, number)| *number).reduce(f64::min);
    let least = least.filter(|_| first.alternatives.len() > 1)?;
    let side = |word: &str| {
        let mine = first.alternatives.iter().filter(|(text, _)| verdict(text) == Some(word == "yes"));
        let sum: f64 = mine.map(|(_, number)| libm::exp(*number)).sum();
        (sum > 0.0).then_some(sum)
    };
    let (yes, no) = (side("yes"), side("no"));
    if yes.is_none() && no.is_none() {
        return None;
    }
    let [yes, no] = [yes, no].map(|side| side.unwrap_or(libm::exp(least)));
    Some(yes / (yes + no))
}

/// Whether the likelihoods that came with an answer are enough for [`yes_by_likelihood`].
pub fn tells_likelihoods(reply: &ChatReply) -> bool {
    reply.tokens.iter().any(|token| token.alternatives.len() > 1)
}

/// What an answer begins with: yes, no, or neither.
pub fn verdict(text: &str) -> Option<bool> {
    let word = text.trim_start_matches(|letter: char| !letter.is_alphanumeric());
    let end = word.find(|letter: char| !letter.is_alphanumeric()).unwrap_or(word.len());
    match word[..end].to_lowercase().as_str() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

/// The mean log-likelihood of a token of the text, in nats, from an answer of `/completions` that echoes it; nothing if it
/// does not. A first token has none.
pub fn read_likelihood(body: &[u8], text: &str) -> Option<f64> {
    let answer = read_json(body)?;
    let likelihoods = answer.get("choices")?.get(0)?.get("logprobs")?;
    let tokens = likelihoods.get("tokens")?.as_array()?;
    let numbers = likelihoods.get("token_logprobs")?.as_array()?;
    // The token that was asked for beyond the text is not part of it.
    let (mut echoed, mut sum, mut count) = (String::new(), 0.0, 0_usize);
    for (token, number) in tokens.iter().zip(numbers) {
        // Some servers begin a text with a space.
        if echoed.trim_start().len() >= text.len() {
            break;
        }
        echoed.push_str(token.as_str()?);
        if number.is_number() {
            sum += log_likelihood(number)?;
            count += 1;
        }
    }
    (echoed.trim() == text.trim() && count > 0).then(|| sum / count as f64)
}

/// The mean log-likelihood of a token of this value in the answer that lists it, in nats; that of the whole answer, if the
/// value was mended so far that it is not found there.
pub fn likelihood_of_value(reply: &ChatReply, value: &str) -> Option<f64> {
    let mut whole = String::new();
    let mut places = vec![];
    for token in &reply.tokens {
        let begin = whole.len();
        whole.push_str(&token.text.to_lowercase());
        places.push((begin, whole.len(), token.log_probability));
    }
    let at = whole.find(value);
    let (begin, end) = at.map_or((0, whole.len()), |at| (at, at + value.len()));
    let mine = places.iter().filter(|(first, last, _)| *first < end && *last > begin);
    let numbers: Vec<f64> = mine.map(|(.., number)| *number).filter(|number| number.is_finite()).collect();
    (!numbers.is_empty()).then(|| numbers.iter().sum::<f64>() / numbers.len() as f64)
}
