//! The rules for requests to the reader's own server: where they go, how often one is tried, and how each failure is told.
//!
//! The page sends them. The rules know no browser, so that each of them is tested.

use std::net::Ipv4Addr;

use super::error::LabError;
use super::host::HttpResponse;

/// Milliseconds after which a request is given up.
pub const PATIENCE: f64 = 60_000.0;
/// How often one is sent again where the server was busy or failed.
pub const RETRIES: u32 = 2;
/// Requests that one run may send, however many a lab asks for.
pub const MOST_REQUESTS: u32 = 3000;
/// Milliseconds before the first retry; each further one waits four times as long.
const BACK_OFF: f64 = 1000.0;
/// Letters of a server's own words that are repeated.
const MOST_REPEATED: usize = 160;
/// Letters of a secret that is taken out of answers: a word such as “none” is one for servers that want no key.
const SHORTEST_SECRET: usize = 6;

/// A server as the reader typed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Scheme, host and port: what the policy of the page that asks names.
    pub origin: String,
    /// What paths follow, without a slash at its end.
    pub base: String,
}

impl Endpoint {
    /// Reads an address. What most servers agree on need not be typed: `http` on the own machine, and the path `/v1`.
    ///
    /// # Errors
    ///
    /// When it is no such address: a sentence that says what one looks like.
    pub fn read(typed: &str) -> Result<Self, String> {
        let typed = typed.trim();
        let refuse = |why: &str| {
            // A password may stand before it, which nobody else is to see.
            let shown: String = typed.rsplit('@').next().unwrap_or_default().chars().take(40).collect();
            Err(format!("“{shown}” {why} An address looks like http://localhost:11434/v1."))
        };
        let (scheme, rest) = typed.split_once("://").unwrap_or(("", typed.trim_start_matches('/')));
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if authority.starts_with('[') {
            return refuse(
                "is of IPv6, which a page's policy cannot name. Type the server's name, or its four numbers.",
            );
        }
        if authority.contains('@') {
            return refuse("has a user in it. Leave that out, and type what the server wants to know as the key.");
        }
        let (host, port) = authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
        let host = host.to_ascii_lowercase();
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "" if is_near(&host) => "http",
            "" | "https" => "https",
            "http" => "http",
            _ => return refuse("does not begin with http:// or https://."),
        };
        // A policy knows a server by its name or by four numbers; nothing else of an address may stand in it.
        if host.is_empty() || !host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-')) {
            return refuse("names no server: a name has letters, digits, dots and hyphens.");
        }
        // A browser fills short ones up before it asks, and the policy would name another server.
        if is_numeric(&host) && host.parse::<Ipv4Addr>().is_err() {
            return refuse("is no whole IPv4 address, which has four numbers, as in 127.0.0.1.");
        }
        let port = match port.map(str::parse::<u16>) {
            None => String::new(),
            Some(Ok(port)) if port == if scheme == "http" { 80 } else { 443 } => String::new(),
            Some(Ok(port)) => format!(":{port}"),
            Some(Err(_)) => return refuse("has a port that is none: it is a number from 1 to 65535."),
        };
        if path.contains(['?', '#']) {
            return refuse("has something behind “?” or “#”. Leave that out.");
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'.' | b'~' | b'%');
        if !path.bytes().all(plain) || path.contains("..") {
            return refuse("has a path that no such server has.");
        }
        let path = path.trim_end_matches('/');
        let path = path.strip_suffix("/completions").map_or(path, |path| path.strip_suffix("/chat").unwrap_or(path));
        let path = if path.is_empty() { "/v1" } else { path };
        let origin = format!("{scheme}://{host}{port}");
        Ok(Self { base: format!("{origin}{path}"), origin })
    }
}

/// Whether a browser takes the host for an IPv4 address: its last part is a number.
fn is_numeric(host: &str) -> bool {
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x")
}

/// Whether the host is this machine or in its house, where servers mostly speak plain `http`.
fn is_near(host: &str) -> bool {
    let ends = [".localhost", ".local", ".lan"];
    let begins = ["127.", "10.", "192.168."];
    host == "localhost"
        || ends.iter().any(|end| host.ends_with(end))
        || begins.iter().any(|begin| host.starts_with(begin))
}

/// A key as its header has it.
///
/// # Errors
///
/// When no header can hold it.
pub fn authorization(key: &str) -> Result<String, LabError> {
    if key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(format!("Bearer {key}"));
    }
    let message = "The key has a space, or a letter that no key has. Copy it once more; nothing was sent.".to_owned();
    Err(LabError::Http { message })
}

/// Milliseconds to wait before a request is sent again; nothing if the answer is to be taken as it is. `said` is what the
/// server asked for, in seconds.
pub fn wait(attempt: u32, status: u16, said: Option<f64>) -> Option<f64> {
    let busy = status == 429 || status >= 500;
    let asked = said.filter(|seconds| *seconds >= 0.0).map(|seconds| 1000.0 * seconds);
    let wait = asked.unwrap_or(BACK_OFF * f64::from(4_u32.pow(attempt.min(8))));
    // A longer wait is the reader's to decide on.
    (busy && attempt < RETRIES && wait <= PATIENCE).then_some(wait)
}

/// The value of a header, whatever the case of its name.
pub fn header<'a>(response: &'a HttpResponse, name: &str) -> Option<&'a str> {
    let found = response.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.trim())
}

/// Why a request brought no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Refused, not allowed, or not found: a browser does not tell which.
    Unreachable,
    TimedOut,
    /// The answer ended before its end.
    CutOff,
    TooLong,
    TooMany,
}

impl Trouble {
    /// What the reader is told. `page` is the origin of this page, which a server must allow.
    pub fn told(self, endpoint: &Endpoint, page: &str) -> LabError {
        let origin = &endpoint.origin;
        let message = match self {
            Self::Unreachable => {
                let mixed = page.starts_with("https:") && origin.starts_with("http:");
                let mixed = if mixed {
                    " Third, this page came over https, and a browser then asks no server over plain http, other than one on this machine."
                } else {
                    ""
                };
                format!(
                    "{origin} could not be reached; a browser does not say why. First, see that the server runs, that the port is right, that the address leads nowhere else (redirects are not followed), and that the browser may ask your own network, if it wants to know. Second, the server must allow pages of {page} (CORS): start Ollama with OLLAMA_ORIGINS={page}, vLLM with --allowed-origins '[\"{page}\"]'; llama.cpp's server allows every page, unless --cors-origins says otherwise.{mixed}"
                )
            }
            Self::TimedOut => format!(
                "{origin} did not answer within {:.0} s. A model is loaded with the first question, so try again; else take a smaller one, or ask for fewer values a call.",
                PATIENCE / 1000.0
            ),
            Self::CutOff => {
                format!("The answer of {origin} was cut off. See whether the server still runs, and go on.")
            }
            Self::TooLong => {
                format!("The answer of {origin} is too long to be one of a chat. See that the address is right.")
            }
            Self::TooMany => {
                format!("This run has sent {MOST_REQUESTS} requests, which is the most that one may. Start another.")
            }
        };
        LabError::Http { message }
    }
}

/// What the reader is told of an answer that is none; nothing if it is one.
pub fn refusal(response: &HttpResponse, model: &str) -> Option<LabError> {
    let words = said(response);
    let message = match response.status {
        200..=299 => return None,
        401 | 403 => {
            format!(
                "The server wants another key ({}). Type the key that it gave you, and go on.{words}",
                response.status
            )
        }
        404 => format!(
            "The server knows no model “{model}”, or nothing at this address (404). Type a name that it lists, and mind that most addresses end with /v1.{words}"
        ),
        429 => {
            let when = header(response, "retry-after").and_then(|said| said.parse::<f64>().ok());
            let when = when.map_or_else(|| "Wait a while".to_owned(), |seconds| format!("Wait {}", span(seconds)));
            format!("The server has too many questions, or your quota is used up (429). {when}, and go on.{words}")
        }
        500.. => {
            format!("The server failed three times ({}). Look into what it prints; then go on.{words}", response.status)
        }
        status => format!("The server did not take the question ({status}).{words}"),
    };
    Some(LabError::Http { message })
}

/// Seconds as people say them.
fn span(seconds: f64) -> String {
    match seconds {
        ..120.0 => format!("{seconds:.0} s"),
        ..7200.0 => format!("{:.0} minutes", seconds / 60.0),
        _ => format!("{:.0} hours", seconds / 3600.0),
    }
}

/// What a server says of itself in an answer that tells of an error.
fn error_in(json: &serde_json::Value) -> Option<&str> {
    let error = json.get("error").unwrap_or(json);
    error.get("message").or(json.get("detail")).unwrap_or(error).as_str()
}

/// The server's own words, cut: they may be a whole page.
fn said(response: &HttpResponse) -> String {
    let json = serde_json::from_slice::<serde_json::Value>(&response.body).ok();
    let words = json.as_ref().and_then(error_in);
    let text = words.map_or_else(|| String::from_utf8_lossy(&response.body).into_owned(), str::to_owned);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.is_empty() || text.starts_with('<') {
        return String::new();
    }
    let cut: String = text.chars().take(MOST_REPEATED).collect();
    let more = if cut.len() < text.len() { "…" } else { "" };
    format!(" It said: “{cut}{more}”")
}

/// What the reader is told of a good answer that is not in the form of a chat.
pub fn not_understood(response: &HttpResponse) -> LabError {
    let body = &response.body;
    let message = match serde_json::from_slice::<serde_json::Value>(body) {
        Ok(json) if error_in(&json).is_some() => {
            format!("The server did not answer the question. Look into what it prints; then go on.{}", said(response))
        }
        Err(error) if error.is_eof() && !body.is_empty() => {
            "The server's answer broke off in the middle. See whether it still runs, and go on.".to_owned()
        }
        _ => {
            let text = String::from_utf8_lossy(&body[..body.len().min(4 * MOST_REPEATED)]);
            let shown: String = text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(60).collect();
            format!(
                "The server's answer is not that of a chat: “{shown}”. The address must be that of an OpenAI-compatible server, and mostly ends with /v1."
            )
        }
    };
    LabError::Http { message }
}

/// Takes what must be seen nowhere out of an answer, in which a server may repeat it.
pub fn without_secrets(mut response: HttpResponse, secrets: &[&str]) -> HttpResponse {
    let told = |secret: &&&str| secret.len() >= SHORTEST_SECRET;
    if let Ok(text) = String::from_utf8(response.body.clone()) {
        let text = secrets.iter().filter(told).fold(text, |text, secret| text.replace(secret, "…"));
        response.body = text.into_bytes();
    }
    response
}
