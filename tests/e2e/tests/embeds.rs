//! Inside other pages: of another origin, sandboxed, without network, and as a teacher's link asks.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use e2e::{Browser, Look, Outcome, Page, STARTING, Server, Visit, built_site, panels, step, wait_for_step};
use serde_json::{Value, json};

const SANDBOXED: &str = "sandbox=\"allow-scripts\"";

/// A page of another origin that carries a frame and writes down what it is told; it goes when the test does.
struct Host(PathBuf);

impl Host {
    fn new(name: &str, frame: &str, attributes: &str) -> Outcome<Self> {
        let folder = std::env::temp_dir().join(format!("heads-and-tails-{name}-{}", std::process::id()));
        let page = format!(
            "<!doctype html><meta charset=\"utf-8\"><title>Host</title><link rel=\"icon\" href=\"data:,\">
            <output id=\"told\"></output><script>addEventListener('message', (event) => {{
                if (event.data.type === 'heads-and-tails') document.getElementById('told').textContent = event.data.height; }})</script>
            <iframe title=\"lab\" width=\"640\" height=\"420\" {attributes} src=\"{frame}\"></iframe>"
        );
        let written = fs::create_dir_all(&folder).and_then(|()| fs::write(folder.join("index.html"), page));
        written.map_err(|error| format!("{}: {error}", folder.display()))?;
        Ok(Self(folder))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _removed = fs::remove_dir_all(&self.0);
    }
}

/// Opens a page that carries the site in a frame, and looks into the frame.
fn in_a_frame(name: &str, inner: &Server, attributes: &str, check: impl FnOnce(&Page) -> Outcome) -> Outcome {
    let frame = inner.address("?lab=fourier-head-draw&amp;embed=1&amp;panel=density#steps=4000");
    let host = Host::new(name, &frame, attributes)?;
    let outer = Server::start(&host.0)?;
    let browser = Browser::start(Look::default())?;
    let page = browser.page();
    page.open(&outer.address(""))?;
    // What a frame shows before it has gone anywhere is another document.
    page.eventually(STARTING, "frame", || {
        page.frame(None)?;
        page.frame(Some(0))?;
        let place = page.script("return location.search", json!([])).unwrap_or_default();
        Ok(place.as_str().is_some_and(|place| place.contains("embed=1")).then_some(()))
    })?;
    check(&page)
}

/// The figure runs, its host hears how tall it is, and nobody complains.
fn runs_and_tells_its_height(page: &Page) -> Outcome {
    let first = wait_for_step(page, 1, STARTING)?;
    wait_for_step(page, first + 20, STARTING)?;
    let names: Vec<String> = panels(page)?.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["Fig. 1What each head believes"], "it shows more than was asked for");
    let height = page.script("return document.documentElement.scrollHeight", json!([]))?;
    page.frame(None)?;
    page.eventually(STARTING, &format!("message that the frame is {height} tall"), || {
        let told = page.script("return Number(document.getElementById('told').textContent)", json!([]))?;
        Ok((told == height).then_some(()))
    })?;
    assert!(height.as_f64().is_some_and(|height| (200.0..900.0).contains(&height)), "{height}");
    assert_eq!(page.console_errors()?, Vec::<String>::new());
    Ok(())
}

#[test]
fn a_frame_of_another_origin_runs_and_tells_its_height() -> Outcome {
    let Some(site) = built_site() else { return Ok(()) };
    in_a_frame("frame", &Server::start(&site)?, "", runs_and_tells_its_height)
}

#[test]
fn a_sandboxed_frame_runs_without_storage() -> Outcome {
    let Some(site) = built_site() else { return Ok(()) };
    in_a_frame("sandbox", &Server::start_for_frames(&site)?, SANDBOXED, |page| {
        let denied = "try { localStorage.length; return false } catch { return self.origin === 'null' }";
        assert_eq!(page.script(denied, json!([]))?, json!(true), "the sandbox is none");
        runs_and_tells_its_height(page)
    })
}

#[test]
fn a_sandboxed_frame_whose_host_forbids_it_says_what_is_missing() -> Outcome {
    let Some(site) = built_site() else { return Ok(()) };
    in_a_frame("forbidden", &Server::start(&site)?, SANDBOXED, |page| {
        page.eventually(STARTING, "sentence about the header", || {
            let said = page.script("return document.querySelector('[role=alert]')?.innerText ?? ''", json!([]))?;
            let said = said.as_str().unwrap_or_default();
            let whole = said.contains("could not start") && said.contains("\"Access-Control-Allow-Origin: *\"");
            Ok(whole.then_some(()))
        })
    })
}

#[test]
fn a_loaded_page_needs_no_network() -> Outcome {
    let Some(site) = built_site() else { return Ok(()) };
    let browser = Browser::start(Look::default())?;
    let page = browser.page();
    {
        let server = Server::start(&site)?;
        page.open(&server.address("?lab=fourier-head-draw#steps=300"))?;
        wait_for_step(&page, 5, STARTING)?;
    }
    let asks = "return fetch('start.js', { cache: 'no-store', signal: AbortSignal.timeout(3000) }).then(() => true, () => false)";
    assert_eq!(page.script(asks, json!([]))?, json!(false), "the network is still there");
    page.find("switch", "Two Gaussians")?.click()?;
    page.eventually(STARTING, "figure without the rival", || {
        Ok(panels(&page)?.first().is_some_and(|(_, drawn)| !drawn.contains("2 Gaussians")).then_some(()))
    })?;
    wait_for_step(&page, 300, STARTING)?;
    page.find("button", "Restart")?.click()?;
    page.eventually(STARTING, "restart", || Ok((step(&page)? < 200).then_some(())))?;
    wait_for_step(&page, 300, STARTING).map(drop)
}

/// An address of this machine that is not its own loopback, where there is such a one.
fn outer_address() -> Option<IpAddr> {
    let answer = Command::new("hostname").arg("-I").output().ok()?;
    let addresses = String::from_utf8(answer.stdout).ok()?;
    addresses.split_whitespace().find_map(|address| address.parse::<Ipv4Addr>().ok()).map(IpAddr::V4)
}

#[test]
fn a_plain_address_that_no_browser_trusts_serves_it_too() -> Outcome {
    let Some(site) = built_site() else { return Ok(()) };
    let Some(address) = outer_address() else {
        eprintln!("skipped: this machine has no address but its loopback");
        return Ok(());
    };
    let visit = Visit { server: Server::start_at(&site, address)?, browser: Browser::start(Look::default())? };
    let page = visit.open("?lab=fourier-head-draw#steps=300&engine=gpu")?;
    wait_for_step(&page, 20, STARTING)?;
    let trusted = "return [isSecureContext, 'gpu' in navigator, 'clipboard' in navigator]";
    assert_eq!(page.script(trusted, json!([]))?, json!([false, false, false]), "this is a page like any other");
    // Without a clipboard the link is shown instead.
    page.find("button", "Copy link")?.click()?;
    page.find("dialog", "Link")?;
    visit.end()
}

#[test]
fn a_teachers_link_shows_hides_and_holds() -> Outcome {
    let Some(visit) = Visit::start(Look::default())? else { return Ok(()) };
    let page = visit.open("?lab=fourier-head-draw&panel=density,distance&hide=presets,prose,claims,tabs,linear&lock=frequencies&theme=dark#steps=60")?;
    wait_for_step(&page, 60, STARTING)?;
    let names: Vec<String> = panels(&page)?.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["Fig. 1What each head believes", "Fig. 3Distance from truth"]);
    let text = page.text()?;
    for gone in ["Try this", "What to look at", "Check the claims", "Tiny forecaster", "Linear head"] {
        assert!(!text.contains(gone), "{gone} is there: {text}");
    }
    let held = "return [document.getElementById('param-frequencies').disabled, document.getElementById('param-draws').disabled, document.documentElement.dataset.theme]";
    assert_eq!(page.script(held, json!([]))?, json!([true, false, "dark"]));

    // What is held stays, whatever a ready setting asks for, and so do its neighbors that are not.
    let page =
        visit.open("?lab=fourier-head-draw&lock=frequencies&hide=distance,transport&theme=light#frequencies=7")?;
    page.find("region", "Fig. 1What each head believes")?;
    page.find("link", "Too many waves")?.click()?;
    page.find("link", "All the data")?.click()?;
    page.eventually(STARTING, "changed setting", || Ok(page.address()?.contains("draws=").then_some(())))?;
    assert!(page.address()?.contains("frequencies=7&"), "{}", page.address()?);
    assert!(page.text()?.contains("Set by whoever made this link: frequencies."));
    assert!(panels(&page)?.iter().all(|(name, _)| !name.contains("Distance from truth")));
    assert!(page.all("button")?.iter().all(|button| button.name != "Restart"), "the transport is there");
    let theme = "return getComputedStyle(document.documentElement).colorScheme";
    assert_eq!(page.script(theme, json!([]))?, json!("light"));
    visit.end()
}

#[test]
fn an_embed_of_no_figure_leads_to_the_whole_lab() -> Outcome {
    let Some(visit) = Visit::start(Look::default())? else { return Ok(()) };
    let page = visit.open("?lab=fourier-head-draw&embed=1&panel=zzz&hide=transport#steps=60")?;
    page.find("link", "Open the whole lab")?;
    let leads = "return [...document.querySelectorAll('a')].find((link) => link.textContent === 'Open the whole lab').getAttribute('href')";
    let link = page.script(leads, json!([]))?.as_str().unwrap_or_default().to_owned();
    assert!(!link.contains("embed") && !link.contains("panel") && link.contains("steps=60"), "{link}");
    visit.end()
}

/// How many files of engines were fetched.
fn engines(page: &Page) -> Outcome<Value> {
    let loaded =
        "return performance.getEntriesByType('resource').filter((file) => file.name.includes('engine')).length";
    page.script(loaded, json!([]))
}

#[test]
fn a_link_waits_as_it_says() -> Outcome {
    let Some(visit) = Visit::start(Look::default())? else { return Ok(()) };
    let page = visit.open("?lab=fourier-head-draw&start=paused#steps=60")?;
    page.find("region", "Fig. 1What each head believes")?;
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(step(&page)?, 0, "it did not wait");
    page.find("button", "Play")?.click()?;
    wait_for_step(&page, 60, STARTING)?;

    let page = visit.open("?lab=fourier-head-draw&embed=1&panel=density&start=click#steps=60")?;
    page.eventually(STARTING, "recorded picture", || Ok(page.text()?.contains("recorded").then_some(())))?;
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(engines(&page)?, json!(0), "an engine was fetched before anybody asked");
    page.find("button", "Run it here")?.click()?;
    wait_for_step(&page, 60, STARTING)?;
    assert!(!page.text()?.contains("recorded"), "the recorded picture stays");
    visit.end()
}

#[test]
fn the_content_policy_refuses_what_it_should() -> Outcome {
    let Some(visit) = Visit::start(Look::default())? else { return Ok(()) };
    // One that would answer anybody: what is not fetched from it was refused by the page's own policy.
    let elsewhere = Server::start_for_frames(&built_site().ok_or("no site")?)?;
    let page = visit.open("?lab=fourier-head-draw#steps=60")?;
    wait_for_step(&page, 60, STARTING)?;
    let provoke = "window.refused = []; window.ran = []; window.inWorker = [];
        addEventListener('securitypolicyviolation', (event) => window.refused.push(event.effectiveDirective));
        const script = document.createElement('script'); script.textContent = 'window.ran.push(\"script\")'; document.body.append(script);
        fetch(arguments[0]).then(() => window.ran.push('fetch'), () => {});
        const styled = document.createElement('p'); styled.setAttribute('style', 'color: red'); document.body.append(styled);
        const text = `addEventListener('securitypolicyviolation', (event) => postMessage(event.effectiveDirective));
            fetch(${JSON.stringify(arguments[0])}).then(() => postMessage('fetched'), () => postMessage('refused'));`;
        const worker = new Worker(URL.createObjectURL(new Blob([text])));
        worker.onmessage = (event) => window.inWorker.push(event.data);";
    page.script(provoke, json!([elsewhere.address("start.js")]))?;
    page.eventually(STARTING, "refusal of each", || {
        let refused = page.script("return [window.refused.join(' '), window.inWorker.join(' ')]", json!([]))?;
        let of = |index: usize| refused[index].as_str().unwrap_or_default().to_owned();
        let in_page = ["script-src", "connect-src", "style-src"].iter().all(|part| of(0).contains(part));
        let in_worker = ["connect-src", "refused"].iter().all(|part| of(1).contains(part));
        Ok((in_page && in_worker).then_some(()))
    })?;
    assert_eq!(page.script("return window.ran", json!([]))?, json!([]), "something ran that was refused");
    // The complaints were asked for. That nobody else was asked is seen in the browser's own record.
    page.console_errors()?;
    visit.end()
}
