//! The rules for requests to the reader's own server.

use heads_and_tails::lab::sending::{
    Endpoint, PATIENCE, Trouble, authorization, not_understood, refusal, wait, without_secrets,
};
use heads_and_tails::lab::{HttpResponse, LabError};

fn base(typed: &str) -> String {
    Endpoint::read(typed).unwrap_or_else(|problem| panic!("{typed}: {problem}")).base
}

fn told(error: LabError) -> String {
    match error {
        LabError::Http { message } => message,
        other => panic!("{other:?} is no failed request"),
    }
}

#[test]
fn an_address_is_read_as_readers_type_it() {
    for (typed, read) in [
        ("http://localhost:11434/v1", "http://localhost:11434/v1"),
        (" http://localhost:11434/v1/ ", "http://localhost:11434/v1"),
        ("localhost:8080", "http://localhost:8080/v1"),
        ("127.0.0.1:8000", "http://127.0.0.1:8000/v1"),
        ("192.168.1.20:11434", "http://192.168.1.20:11434/v1"),
        ("http://LocalHost:80", "http://localhost/v1"),
        ("https://models.example.org:443/api/v1", "https://models.example.org/api/v1"),
        ("models.example.org", "https://models.example.org/v1"),
        ("//127.0.0.1:8123/v1", "http://127.0.0.1:8123/v1"),
        ("http://localhost:1/v1/chat/completions", "http://localhost:1/v1"),
        ("http://localhost:1/v1/completions", "http://localhost:1/v1"),
        ("HTTP://localhost:1/some-path_1.0/~x%20/", "http://localhost:1/some-path_1.0/~x%20"),
    ] {
        assert_eq!(base(typed), read, "{typed}");
    }
    assert_eq!(Endpoint::read("http://localhost:11434/a/v1").unwrap().origin, "http://localhost:11434");
}

/// The origin goes into a policy, where any other sign could say more than one origin.
#[test]
fn what_is_no_address_is_refused_with_an_example() {
    for typed in [
        "",
        "http://",
        "ftp://localhost",
        "javascript://alert",
        "http://user:password@localhost/v1",
        "http://localhost:port",
        "http://localhost:99999",
        "http://[::1]:11434",
        "http://local host",
        "http://a;connect-src *",
        "http://*",
        "http://a,b",
        "http://a'b",
        "http://localhost/v1?key=sk",
        "http://localhost/v1#x",
        "http://localhost/../v1",
        "http://localhost\\@evil.example",
    ] {
        let problem = Endpoint::read(typed).expect_err(typed);
        assert!(problem.contains("http://localhost:11434/v1"), "{typed}: {problem}");
    }
    for (typed, part) in [
        ("http://[::1]:11434", "IPv6"),
        ("http://me:pass@localhost/v1", "as the key"),
        ("http://127.1:8123/v1", "four numbers"),
        ("http://0x7f000001/v1", "four numbers"),
        ("http://localhost/v1?key=sk", "“?”"),
    ] {
        let problem = Endpoint::read(typed).expect_err(typed);
        assert!(problem.contains(part) && !problem.contains("pass@"), "{typed}: {problem}");
    }
}

#[test]
fn a_key_that_no_header_holds_is_not_sent() {
    assert_eq!(authorization("sk-1_2.3").unwrap(), "Bearer sk-1_2.3");
    for key in ["two words", "ключ", "a\nb"] {
        assert!(!told(authorization(key).unwrap_err()).contains(key), "the key itself is not told");
    }
}

#[test]
fn only_a_busy_server_is_asked_again_and_twice_at_most() {
    assert_eq!([wait(0, 429, None), wait(1, 503, None), wait(2, 500, None)], [Some(1000.0), Some(4000.0), None]);
    assert_eq!(wait(0, 429, Some(7.0)), Some(7000.0));
    assert_eq!(wait(0, 429, Some(0.0)), Some(0.0));
    assert_eq!(wait(0, 429, Some(-1.0)), Some(1000.0));
    assert_eq!(wait(0, 429, Some(PATIENCE)), None, "so long a wait is the reader's to decide on");
    assert_eq!(wait(0, 429, Some(f64::NAN)), Some(1000.0));
    for status in [200, 204, 400, 401, 403, 404, 422] {
        assert_eq!(wait(0, status, Some(0.0)), None, "{status}");
    }
}

#[test]
fn each_refusal_says_what_to_do() {
    let answer = |status: u16, body: &str| HttpResponse {
        status,
        headers: vec![("Retry-After".to_owned(), "20".to_owned())],
        body: body.as_bytes().to_vec(),
    };
    assert_eq!(refusal(&answer(200, ""), "m"), None);
    let said = |status, body| told(refusal(&answer(status, body), "my model").expect("it is refused"));
    for (status, part) in [
        (401, "Type the key"),
        (403, "Type the key"),
        (404, "knows no model “my model”"),
        (429, "Wait 20 s, and go on"),
        (500, "Look into what it prints"),
        (400, "did not take the question (400)"),
    ] {
        assert!(said(status, "").contains(part), "{}", said(status, ""));
    }
    // The server's own words in whichever form, cut, and no page of HTML.
    for (body, words) in [
        (r#"{"error":{"message":"no such model"}}"#, "It said: “no such model”"),
        (r#"{"error":"no such model"}"#, "It said: “no such model”"),
        (r#"{"detail":"Not Found"}"#, "It said: “Not Found”"),
        ("plain\n words", "It said: “plain words”"),
    ] {
        assert!(said(404, body).ends_with(words), "{}", said(404, body));
    }
    assert!(!said(502, "<html><body>Bad gateway</body></html>").contains("It said"));
    assert!(said(500, &"x".repeat(5000)).chars().count() < 300);
    let later = HttpResponse { headers: vec![("Retry-After".to_owned(), "86400".to_owned())], ..answer(429, "") };
    assert!(told(refusal(&later, "m").unwrap()).contains("Wait 24 hours"));
    let odd = told(not_understood(&answer(200, "<!doctype html><title>Router</title>")));
    assert!(odd.contains("“<!doctype html>") && odd.contains("/v1"), "{odd}");
    let noise = HttpResponse { status: 200, headers: vec![], body: vec![0xff; 4000] };
    assert!(told(not_understood(&noise)).chars().count() < 300);
    let refused = told(not_understood(&answer(200, r#"{"error":{"message":"model not found"}}"#)));
    assert!(refused.contains("“model not found”") && !refused.contains("/v1"), "{refused}");
    assert!(told(not_understood(&answer(200, r#"{"choices":[{"mess"#))).contains("broke off"));
}

#[test]
fn a_server_that_repeats_a_secret_is_not_repeated() {
    let body = r#"{"error":"bad key Bearer sk-SECRET at http://127.0.0.1:8123/v1, none"}"#;
    let response = HttpResponse { status: 404, headers: vec![], body: body.as_bytes().to_vec() };
    let told = without_secrets(response, &["sk-SECRET", "http://127.0.0.1:8123/v1", "", "none"]);
    assert_eq!(String::from_utf8(told.body).unwrap(), r#"{"error":"bad key Bearer … at …, none"}"#);
}

#[test]
fn each_trouble_says_what_to_do() {
    let endpoint = Endpoint::read("http://box.lan:8000").unwrap();
    let said = |trouble: Trouble, page: &str| told(trouble.told(&endpoint, page));
    let far = said(Trouble::Unreachable, "https://site.example");
    for part in
        ["http://box.lan:8000", "OLLAMA_ORIGINS=https://site.example", "--allowed-origins", "llama.cpp", "over https"]
    {
        assert!(far.contains(part), "{part}: {far}");
    }
    assert!(!said(Trouble::Unreachable, "http://127.0.0.1:8080").contains("over https"));
    assert!(said(Trouble::TimedOut, "").contains("within 60 s"));
    for trouble in [Trouble::CutOff, Trouble::TooLong, Trouble::TooMany] {
        assert!(said(trouble, "").len() > 40);
    }
}
