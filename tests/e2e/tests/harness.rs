//! The harness on a page whose every answer is known: what it cannot see here, it cannot be trusted to see elsewhere.

use std::fs;
use std::path::PathBuf;

use e2e::{Browser, Look, Outcome, Server};

const PAGE: &str = r#"<!doctype html><html lang="en"><meta charset="utf-8"><title>Known</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'self'; connect-src 'self'; img-src data:; worker-src blob:">
<link rel="icon" href="data:,">
<button id="play" aria-label="Pause">x</button><button hidden>Hidden</button>
<section aria-labelledby="t"><h2 id="t">Density</h2><output id="count">0</output></section>
<a href="?lab=one">One</a><script src="page.js"></script>"#;

const SCRIPT: &str = r#"
const count = document.getElementById("count");
document.getElementById("play").onclick = (event) => {
  count.textContent = Number(count.textContent) + 1;
  event.target.setAttribute("aria-label", "Play");
};
if (location.search === "?elsewhere") fetch("http://localhost:9/elsewhere").catch(() => {});
if (location.search === "?throws") setTimeout(() => { throw new Error("thrown on purpose"); }, 0);
if (location.search === "?worker") {
  const blob = URL.createObjectURL(new Blob(["console.error('complained in a worker'); fetch('" + new URL("data.json", location.href) + "')"]));
  new Worker(blob);
}"#;

/// The page in a folder that goes when the test does.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Outcome<Self> {
        let folder = std::env::temp_dir().join(format!("heads-and-tails-harness-{name}-{}", std::process::id()));
        let files = [("index.html", PAGE), ("page.js", SCRIPT), ("data.json", "{}")];
        let written = fs::create_dir_all(&folder)
            .and_then(|()| files.iter().try_for_each(|(name, text)| fs::write(folder.join(name), text)));
        written.map_err(|error| format!("{}: {error}", folder.display()))?;
        Ok(Self(folder))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _removed = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn finds_by_role_and_name_clicks_and_presses() -> Outcome {
    if e2e::built_site().is_none() {
        return Ok(());
    }
    let folder = Folder::new("finds")?;
    let server = Server::start(&folder.0)?;
    let browser = Browser::start(Look::default())?;
    let page = browser.page();
    page.open(&server.address("?x=1#y=2"))?;

    page.find("button", "Pause")?.click()?;
    page.find("button", "Play")?;
    let panel = page.find("region", "Density")?;
    assert_eq!(panel.text()?, "Density\n1");
    assert!(panel.drawing()?.contains("<output id=\"count\">1</output>"));
    let names: Vec<String> = page.all("button")?.into_iter().map(|button| button.name).collect();
    assert_eq!(names, ["Play"], "what is hidden is not found");

    // The click left the focus on the button: from the end of the page, Tab goes back to its start.
    page.press(&["Tab"])?;
    assert_eq!(page.focused()?, ("link".to_owned(), "One".to_owned()));
    page.press(&["Shift+Tab", "Enter"])?;
    assert_eq!(panel.text()?, "Density\n2");
    page.press(&["Tab", "Enter"])?;
    assert_eq!(page.address()?, server.address("?lab=one"));

    assert_eq!(page.console_errors()?, Vec::<String>::new());
    let shot = folder.0.join("shot.png");
    page.screenshot(390, 844, &shot)?;
    assert!(fs::read(shot).is_ok_and(|bytes| bytes.starts_with(b"\x89PNG")));
    let asked = browser.close()?;
    assert!(asked.contains(&server.address("page.js")), "the record is empty or unreadable: {asked:?}");
    let elsewhere: Vec<_> = asked.iter().filter(|address| !address.starts_with(server.origin())).collect();
    assert!(elsewhere.is_empty(), "{elsewhere:?}");
    Ok(())
}

#[test]
fn sees_what_a_page_does_wrong() -> Outcome {
    if e2e::built_site().is_none() {
        return Ok(());
    }
    let folder = Folder::new("wrong")?;
    let server = Server::start(&folder.0)?;
    let browser = Browser::start(Look::default())?;
    let page = browser.page();
    let complaint = |query: &str, word: &str| -> Outcome {
        page.open(&server.address(query))?;
        page.eventually(std::time::Duration::from_secs(5), &format!("complaint with \"{word}\""), || {
            Ok(page.console_errors()?.iter().any(|error| error.contains(word)).then_some(()))
        })
    };
    complaint("?throws", "thrown on purpose")?;
    complaint("?elsewhere", "Content Security Policy")?;
    complaint("no-such-file", "404")?;
    complaint("?worker", "complained in a worker")?;
    let asked = browser.close()?;
    assert!(asked.contains(&server.address("data.json")), "what a worker asks for is in the record: {asked:?}");
    Ok(())
}
