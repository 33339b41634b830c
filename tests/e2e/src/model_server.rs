//! A chat server as a reader has one, played by a script: the shapes of an OpenAI-compatible server, and what can go wrong
//! with one, by the path of its address.
//!
//! On bare sockets, for an answer that is cut off is one that no server library sends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{Outcome, doing};

/// How long the slow one takes: longer than any test waits for an answer.
const SLOW: Duration = Duration::from_secs(30);

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

#[derive(Default)]
struct Record {
    asked: Mutex<Vec<Asked>>,
    /// Requests whose sender went away before the answer.
    given_up: AtomicUsize,
    ended: AtomicBool,
}

/// Serves until it is dropped.
pub struct ModelServer {
    origin: String,
    record: Arc<Record>,
}

impl ModelServer {
    /// # Errors
    ///
    /// When no port can be opened.
    pub fn start() -> Outcome<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").or_else(doing("a port for the model server"))?;
        let address = listener.local_addr().or_else(doing("its address"))?;
        let record = Arc::new(Record::default());
        let serving = Arc::clone(&record);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if serving.ended.load(Ordering::Relaxed) {
                    break;
                }
                let record = Arc::clone(&serving);
                thread::spawn(move || drop(serve(stream, &record)));
            }
        });
        Ok(Self { origin: format!("http://{address}"), record })
    }

    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Its address with what is to go wrong: nothing, or the first part of a path that [`answer`] knows.
    pub fn address(&self, fault: &str) -> String {
        if fault.is_empty() { format!("{}/v1", self.origin) } else { format!("{}/{fault}/v1", self.origin) }
    }

    /// What was asked so far, without the questions of a browser whether it may.
    pub fn asked(&self) -> Vec<Asked> {
        self.record.asked.lock().map(|asked| asked.clone()).unwrap_or_default()
    }

    /// How many requests were given up before they were answered.
    pub fn given_up(&self) -> usize {
        self.record.given_up.load(Ordering::Relaxed)
    }
}

impl Drop for ModelServer {
    fn drop(&mut self) {
        self.record.ended.store(true, Ordering::Relaxed);
        // Wakes the thread that waits for one more.
        let _woken = TcpStream::connect(self.origin.trim_start_matches("http://"));
    }
}

fn read(stream: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim().split_once(':') {
            Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.trim().to_owned())),
            None => break,
        }
    }
    let asked = Asked { method, path, headers, body: String::new() };
    let length = asked.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Asked { body: String::from_utf8_lossy(&body).into_owned(), ..asked })
}

/// One request, one answer, one connection.
fn serve(mut stream: TcpStream, record: &Record) -> std::io::Result<()> {
    let Some(asked) = read(&stream) else { return Ok(()) };
    let fault = asked.path.trim_start_matches('/').split('/').next().unwrap_or_default().to_owned();
    let cors = if fault == "no-cors" {
        ""
    } else {
        "Access-Control-Allow-Origin: *\r\nAccess-Control-Allow-Headers: content-type, authorization\r\n\
         Access-Control-Expose-Headers: retry-after\r\n"
    };
    if asked.method == "OPTIONS" {
        return write!(stream, "HTTP/1.1 204 No Content\r\n{cors}Connection: close\r\n\r\n");
    }
    let before = record.asked.lock().map_or(0, |mut all| {
        all.push(asked.clone());
        all.iter().filter(|other| other.path == asked.path).count() - 1
    });
    if fault == "slow" && !wait(&stream) {
        record.given_up.fetch_add(1, Ordering::Relaxed);
        return Ok(());
    }
    let (status, also, body) = answer(&asked, &fault, before);
    // A length that is never reached: the sender knows that something is missing.
    let missing = if fault == "cut" { 100 } else { 0 };
    write!(
        stream,
        "HTTP/1.1 {status}\r\n{cors}{also}Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len() + missing
    )?;
    stream.flush()
}

/// Waits; false if the other side went away meanwhile.
fn wait(stream: &TcpStream) -> bool {
    let begun = Instant::now();
    let patient = stream.set_read_timeout(Some(Duration::from_millis(50)));
    while patient.is_ok() && begun.elapsed() < SLOW {
        match stream.peek(&mut [0]) {
            Ok(0) => return false,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return false,
            _ => {}
        }
    }
    true
}

/// Status, further headers and body. `before` counts the requests to this path so far.
fn answer(asked: &Asked, fault: &str, before: usize) -> (&'static str, &'static str, String) {
    let error = |message: &str| json!({ "error": { "message": message } }).to_string();
    let question: Value = serde_json::from_str(&asked.body).unwrap_or_default();
    match fault {
        "unauthorized" => return ("401 Unauthorized", "", error("invalid key")),
        "no-model" => return ("404 Not Found", "", error("model not found")),
        "busy" if before == 0 => return ("429 Too Many Requests", "Retry-After: 1\r\n", error("slow down")),
        "too-busy" => return ("429 Too Many Requests", "Retry-After: 600\r\n", error("slow down")),
        "failing" => return ("500 Internal Server Error", "Retry-After: 0\r\n", error("out of memory")),
        "no-json" => return ("200 OK", "", "<!doctype html><title>A router</title>".to_owned()),
        "no-likelihoods" if question["logprobs"] == json!(true) => {
            return ("400 Bad Request", "", error("logprobs are not supported"));
        }
        _ => {}
    }
    let echoes = asked.path.ends_with("/v1/completions");
    if echoes && fault == "no-likelihoods" {
        return ("404 Not Found", "", error("not found"));
    }
    let body = if echoes { completion(&question) } else { chat(&question) };
    ("200 OK", "", body.to_string())
}

/// What it proposes after the words of a question.
const PROPOSED: [(&str, &[&str]); 3] = [
    ("prawn is an ingredient in B", &["laksa", "pad thai"]),
    ("tofu is an ingredient in B", &["miso soup", "hummus"]),
    ("for Z, ", &["prawn", "tofu"]),
];
/// What it says no to.
const FALSE: &str = "tofu is an ingredient in hummus";

fn chat(question: &Value) -> Value {
    let text = question["messages"][0]["content"].as_str().unwrap_or_default();
    let tokens: Vec<(String, f64)> = if text.starts_with("List") {
        let found = PROPOSED.iter().find(|(words, _)| text.contains(words)).map_or(&[][..], |(_, values)| *values);
        let line = |(number, value): (usize, &&str)| {
            [
                (format!("{}. ", number + 1), -0.1),
                ((*value).to_owned(), -(value.len() as f64)),
                (".\n".to_owned(), -0.1),
            ]
        };
        found.iter().enumerate().flat_map(line).collect()
    } else {
        let word = if text.contains(FALSE) { "No" } else { "Yes" };
        vec![(word.to_owned(), -0.05), (".".to_owned(), -0.1)]
    };
    let content: String = tokens.iter().map(|(text, _)| text.as_str()).collect();
    let mut choice = json!({
        "index": 0, "finish_reason": "stop", "message": { "role": "assistant", "content": content },
    });
    if question["logprobs"] == json!(true) {
        let token = |(text, number): &(String, f64)| {
            let other = if text == "Yes" { "No" } else { "Yes" };
            json!({ "token": text, "logprob": number, "top_logprobs": [
                { "token": text, "logprob": number }, { "token": other, "logprob": -3.0 },
            ] })
        };
        choice["logprobs"] = json!({ "content": tokens.iter().map(token).collect::<Vec<_>>() });
    }
    json!({ "object": "chat.completion", "choices": [choice], "usage": { "total_tokens": 40 } })
}

/// The text again, each word with its likelihood, and one more.
fn completion(question: &Value) -> Value {
    let text = question["prompt"].as_str().unwrap_or_default();
    let words: Vec<&str> = text.split_inclusive(' ').chain([" and"]).collect();
    let number = |(place, word): (usize, &&str)| if place == 0 { json!(null) } else { json!(-(word.len() as f64)) };
    let numbers: Vec<Value> = words.iter().enumerate().map(number).collect();
    let likelihoods = json!({ "tokens": words, "token_logprobs": numbers });
    json!({ "object": "text_completion", "choices": [{ "text": format!("{text} and"), "logprobs": likelihoods }] })
}
