//! The reader's own server: what is sent to it, when, and by whom; and what the reader is told when it fails.

use std::net::TcpListener;
use std::time::Duration;

use e2e::{Asked, Look, ModelServer, Outcome, Page, STARTING, Visit, wait_for_step};
use serde_json::json;

const LAB: &str = "?lab=link-own#rule=hate&values=2&budget=200&engine=cpu";
/// A sentence comes at once, or after two retries.
const SOON: Duration = Duration::from_secs(20);

/// Leaves a field, upon which what was typed is taken.
const TAB: &str = "\u{e004}";

fn type_into(page: &Page, field: &str, text: &str) -> Outcome {
    page.find("textbox", field)?.write(&format!("{text}{TAB}"))
}

fn says(page: &Page, words: &str, patience: Duration) -> Outcome {
    let found = page.eventually(patience, &format!("“{words}”"), || Ok(page.text()?.contains(words).then_some(())));
    found.map_err(|problem| format!("{problem} The page says: {}", page.text().unwrap_or_default()))
}

/// The lab with this address typed into it.
fn opened<'v>(visit: &'v Visit, address: &str) -> Outcome<Page<'v>> {
    opened_at(visit, LAB, address)
}

fn opened_at<'v>(visit: &'v Visit, lab: &str, address: &str) -> Outcome<Page<'v>> {
    let page = visit.open(lab)?;
    wait_for_step(&page, 1, STARTING)?;
    type_into(&page, "Address", address)?;
    Ok(page)
}

#[test]
fn a_search_asks_the_server_that_was_typed_and_nobody_else() -> Outcome {
    let Some(visit) = Visit::start(Look::default())? else { return Ok(()) };
    let model = ModelServer::start()?;
    let page = visit.open(LAB)?;
    wait_for_step(&page, 1, STARTING)?;
    says(&page, "Type the address of your server", STARTING)?;
    type_into(&page, "Address", &model.address(""))?;
    type_into(&page, "Key", "sk-never-seen")?;
    std::thread::sleep(Duration::from_secs(1));
    assert!(model.asked().is_empty(), "it was asked before anybody pressed Play: {:?}", model.asked());

    page.find("button", "Play")?.click()?;
    says(&page, "Done after", STARTING)?;
    let asked = model.asked();
    assert!(asked.len() > 10, "{asked:?}");
    let complete = |one: &Asked| {
        one.method == "POST"
            && one.header("authorization") == Some("Bearer sk-never-seen")
            && one.header("content-type") == Some("application/json")
            && one.header("referer").is_none()
            && one.header("cookie").is_none()
    };
    assert!(asked.iter().all(complete), "{asked:?}");
    let text = page.text()?;
    assert!(text.contains("leaves aside pad thai") && text.contains("likelihood of the whole statement"), "{text}");
    assert!(!text.contains("leaves aside hummus"), "what it says no to is no statement: {text}");

    // Where a secret must not be: the address, what is kept, and the page itself beyond its field.
    let port = model.origin().rsplit(':').next().unwrap_or_default().to_owned();
    let kept = "const all = { ...localStorage, ...sessionStorage };
        return JSON.stringify([all, location.href, document.body.innerHTML, history.state,
            [...document.querySelectorAll('iframe')].map((frame) => frame.src)])";
    let kept = page.script(kept, json!([]))?.as_str().unwrap_or_default().to_owned();
    assert!(kept.contains("connect.html"), "{kept}");
    assert!(!kept.contains("never-seen") && !kept.contains(&format!(":{port}/v1")), "{kept}");
    // Another setting is not asked for before the reader says so.
    let before = model.asked().len();
    page.find("switch", "Reranker")?.click()?;
    page.find("button", "Play")?;
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(model.asked().len(), before, "a change of a setting has sent something");
    page.find("button", "Play")?.click()?;
    says(&page, "known from an earlier run and not sent again", STARTING)?;
    says(&page, "Done after", STARTING)?;
    // Back at the first setting every answer is there; only a restart asks them all again.
    let before = model.asked().len();
    page.press(&["z"])?;
    says(&page, "Nothing is sent before you press Play", STARTING)?;
    page.find("button", "Play")?.click()?;
    says(&page, "Done after 0 requests", STARTING)?;
    assert_eq!(model.asked().len(), before, "an answer that was there is asked for again");
    page.find("button", "Restart")?.click()?;
    says(&page, "Nothing is sent before you press Play", STARTING)?;
    page.find("button", "Play")?.click()?;
    says(&page, &format!("Done after {} requests", asked.len()), STARTING)?;
    assert_eq!(model.asked().len(), before + asked.len());
    visit.end_beside(&[model.origin()])
}

#[test]
fn a_server_without_likelihoods_is_asked_three_times() -> Outcome {
    let Some(visit) = Visit::start(Look::default())? else { return Ok(()) };
    let model = ModelServer::start()?;
    let page = opened(&visit, &model.address("no-likelihoods"))?;
    page.find("button", "Play")?.click()?;
    says(&page, "Done after", STARTING)?;
    let text = page.text()?;
    assert!(text.contains("the share of yes in three answers"), "{text}");
    // Its refusals stand in the console, as the browser's own words.
    page.console_errors()?;
    visit.end_beside(&[model.origin()])
}

#[test]
fn a_link_makes_nobody_ask() -> Outcome {
    let Some(visit) = Visit::start(Look::default())? else { return Ok(()) };
    let model = ModelServer::start()?;
    let address = model.address("").replace(':', "%3A").replace('/', "%2F");
    let page = visit.open(&format!("{LAB}&address={address}&key=sk-given-away"))?;
    wait_for_step(&page, 1, STARTING)?;
    says(&page, "An address or key is never taken from a link", STARTING)?;
    page.find("button", "Play")?.click()?;
    says(&page, "Type the address of your server", STARTING)?;
    std::thread::sleep(Duration::from_secs(1));
    let here = page.address()?;
    assert!(!here.contains("address=") && !here.contains("given-away"), "it stays in the address: {here}");
    assert!(model.asked().is_empty(), "{:?}", model.asked());
    visit.end()
}

#[test]
fn each_failure_says_what_to_do() -> Outcome {
    let Some(visit) = Visit::start(Look::default())? else { return Ok(()) };
    let model = ModelServer::start()?;
    // A port that nobody listens at any more.
    let closed = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let closed = closed.map(|address| format!("http://{address}/v1")).map_err(|error| format!("a port: {error}"))?;
    for (address, words) in [
        (closed.as_str(), "could not be reached"),
        (model.address("no-cors").as_str(), "OLLAMA_ORIGINS"),
        (model.address("unauthorized").as_str(), "Type the key"),
        (model.address("no-model").as_str(), "knows no model “llama3.2”"),
        (model.address("too-busy").as_str(), "Wait 10 minutes"),
        (model.address("failing").as_str(), "It said: “out of memory”"),
        (model.address("no-json").as_str(), "is not that of a chat"),
        (model.address("cut").as_str(), "was cut off"),
        ("ftp://localhost", "An address looks like http://localhost:11434/v1"),
    ] {
        let page = opened(&visit, address)?;
        page.find("button", "Play")?.click()?;
        let told = page.eventually(SOON, &format!("alert that says “{words}”"), || {
            let said = page.script("return document.querySelector('[role=alert]')?.innerText ?? ''", json!([]))?;
            Ok(said.as_str().unwrap_or_default().contains(words).then_some(()))
        });
        told.map_err(|problem| format!("{address}: {problem} {}", page.text().unwrap_or_default()))?;
        page.find_prefix("button", "Go on from step")?;
    }
    let tries = |fault: &str| model.asked().iter().filter(|one| one.path.starts_with(&format!("/{fault}/"))).count();
    assert_eq!([tries("failing"), tries("too-busy"), tries("unauthorized")], [3, 1, 1]);
    visit.browser.page().console_errors()?;
    let closed = closed.trim_end_matches("/v1").to_owned();
    visit.end_beside(&[model.origin(), &closed])
}

#[test]
fn a_busy_server_is_asked_again_when_it_says() -> Outcome {
    let Some(visit) = Visit::start(Look::default())? else { return Ok(()) };
    let model = ModelServer::start()?;
    let page = opened(&visit, &model.address("busy"))?;
    page.find("button", "Play")?.click()?;
    says(&page, "Done after", STARTING)?;
    let asked = model.asked();
    assert_eq!(asked[0].body, asked[1].body, "the same question was not asked again");
    page.console_errors()?;
    visit.end_beside(&[model.origin()])
}

#[test]
fn pause_gives_up_at_once_and_play_asks_again() -> Outcome {
    let Some(visit) = Visit::start(Look::default())? else { return Ok(()) };
    let model = ModelServer::start()?;
    let page = opened(&visit, &model.address("slow"))?;
    page.find("button", "Play")?.click()?;
    page.eventually(SOON, "question", || Ok((model.asked().len() == 1).then_some(())))?;
    page.find("button", "Pause")?.click()?;
    page.eventually(Duration::from_secs(3), "end of the request", || Ok((model.given_up() == 1).then_some(())))?;
    page.find("button", "Play")?.click()?;
    page.eventually(SOON, "question again", || Ok((model.asked().len() == 2).then_some(())))?;
    // So does leaving the lab.
    page.find("link", "The search")?.click()?;
    page.eventually(Duration::from_secs(3), "end of the request", || Ok((model.given_up() == 2).then_some(())))?;
    page.console_errors()?;
    visit.end_beside(&[model.origin()])
}

/// Sends to the hidden page what is to be tried, `[origin, address]` each, and gives what it answered: statuses, or what
/// failed. `outside` is what this page itself gets when it asks the first.
fn tried(page: &Page, tries: &[[&str; 2]]) -> Outcome<(Vec<String>, String)> {
    let ask = "window.told = []; window.outside = '';
        const [tries] = arguments;
        const frame = document.createElement('iframe');
        frame.hidden = true; frame.title = 'tried'; frame.src = 'connect.html';
        frame.onload = async () => {
          for (const [origin, address] of tries) {
            const channel = new MessageChannel();
            const answer = new Promise((resolve) => { channel.port1.onmessage = (event) => resolve(event.data); });
            const message = { origin, address, method: 'POST', headers: [['Content-Type', 'application/json']], body: '{}' };
            frame.contentWindow.postMessage(message, location.origin, [channel.port2]);
            const { status, failure } = await answer;
            window.told.push(String(status ?? failure));
          }
        };
        document.body.append(frame);
        fetch(tries[0][1], { method: 'POST' }).then(() => { window.outside = 'fetched'; }, () => { window.outside = 'refused'; });";
    page.script(ask, json!([tries]))?;
    page.eventually(STARTING, "answer to each try", || {
        let told = page.script("return [window.told, window.outside]", json!([]))?;
        let each = told[0].as_array().into_iter().flatten();
        let all: Vec<String> = each.filter_map(|one| Some(one.as_str()?.to_owned())).collect();
        let outside = told[1].as_str().unwrap_or_default().to_owned();
        Ok((all.len() == tries.len() && !outside.is_empty()).then_some((all, outside)))
    })
}

/// The policy itself, and not only the script that sets it: a request to another origin is refused by the browser.
#[test]
fn the_hidden_page_can_ask_one_origin_alone() -> Outcome {
    let Some(visit) = Visit::start(Look::default())? else { return Ok(()) };
    let (model, other) = (ModelServer::start()?, ModelServer::start()?);
    let page = visit.open(LAB)?;
    wait_for_step(&page, 1, STARTING)?;
    let (mine, theirs) = (model.address("") + "/chat/completions", other.address("") + "/chat/completions");
    let tries = [
        [model.origin(), &mine],
        // The browser refuses the first of these, and the script the second.
        [model.origin(), &theirs],
        [other.origin(), &theirs],
        [model.origin(), &mine],
    ];
    let (told, outside) = tried(&page, &tries)?;
    assert_eq!(told, ["200", "unreachable", "unreachable", "200"]);
    assert_eq!(outside, "refused", "the lab's own page has no such leave");
    assert_eq!((model.asked().len(), other.asked().len()), (2, 0));
    let complaints = page.console_errors()?;
    assert!(complaints.iter().any(|complaint| complaint.contains("Content Security Policy")), "{complaints:?}");
    visit.end_beside(&[model.origin()])
}

/// An origin with a sign of the policy's own language would let it ask more than one.
#[test]
fn the_hidden_page_takes_no_origin_that_says_more() -> Outcome {
    let Some(visit) = Visit::start(Look::default())? else { return Ok(()) };
    let model = ModelServer::start()?;
    let page = visit.open(LAB)?;
    wait_for_step(&page, 1, STARTING)?;
    let mine = model.address("") + "/chat/completions";
    let wide = [format!("{} *", model.origin()), format!("{}; script-src *", model.origin()), "http://*".to_owned()];
    let tries: Vec<[&str; 2]> = wide.iter().map(|origin| [origin.as_str(), mine.as_str()]).collect();
    assert_eq!(tried(&page, &tries)?.0, ["unreachable"; 3]);
    assert!(model.asked().is_empty(), "{:?}", model.asked());
    page.console_errors()?;
    visit.end()
}

#[test]
fn the_hidden_page_tells_failures_apart() -> Outcome {
    let Some(visit) = Visit::start(Look::default())? else { return Ok(()) };
    let model = ModelServer::start()?;
    let page = visit.open(LAB)?;
    wait_for_step(&page, 1, STARTING)?;
    let addresses = ["unauthorized", "no-model", "failing", "no-json", "cut", "no-cors"];
    let addresses = addresses.map(|fault| model.address(fault) + "/chat/completions");
    let tries: Vec<[&str; 2]> = addresses.iter().map(|address| [model.origin(), address.as_str()]).collect();
    assert_eq!(tried(&page, &tries)?.0, ["401", "404", "500", "200", "cut off", "unreachable"]);
    page.console_errors()?;
    visit.end_beside(&[model.origin()])
}

/// A real server with a real, small model: what it says is not known, but that all of it is read.
#[test]
fn a_real_server_is_searched() -> Outcome {
    let Some(address) = std::env::var("HT_MODEL_SERVER").ok().filter(|_| e2e::with_hosts()) else {
        eprintln!("skipped: `cargo xtask test --hosts` starts a real server and runs this");
        return Ok(());
    };
    let Some(visit) = Visit::start(Look::default())? else { return Ok(()) };
    // It knows little, so that it is asked often and what it says most of all must pass.
    let lab = "?lab=link-own#rule=hate&values=4&calls=8&threshold=0.5&floor=0&thresholds=paper&budget=300&engine=cpu&speed=max";
    let page = opened_at(&visit, lab, &address)?;
    page.find("button", "Play")?.click()?;
    page.eventually(Duration::from_secs(400), "end of the search", || {
        let text = page.text()?;
        assert!(page.all("alert")?.is_empty(), "{text}");
        Ok(["Done after", "Done:", "Allow more and press Play"].iter().any(|end| text.contains(end)).then_some(()))
    })?;
    let text = page.text()?;
    for words in ["P(yes) comes from the likelihoods of one answer", "P(yes) 0.", "likelihood of the whole statement"] {
        assert!(text.contains(words), "{words} is not there: {text}");
    }
    page.console_errors()?;
    visit.end_beside(&[address.trim_end_matches("/v1")])
}
