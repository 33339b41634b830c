//! Inside other pages: of another origin, sandboxed, without network, and as a teacher's link asks.

use std::path::PathBuf;
use std::time::Duration;

use e2e::{Browser, Look, Outcome, Page, STARTING, Server, Visit, built_site, panels, step, wait_for_step};
use serde_json::json;

/// A page that carries a frame and writes down what it is told.
fn host(frame: &str, attributes: &str) -> Outcome<PathBuf> {
    let folder = std::env::temp_dir().join(format!("heads-and-tails-host-{}-{}", std::process::id(), attributes.len()));
    std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let page = format!(
        "<!doctype html><meta charset=\"utf-8\"><title>Host</title><link rel=\"icon\" href=\"data:,\">
        <output id=\"told\"></output><script>addEventListener('message', (event) => {{
            if (event.data.type === 'heads-and-tails') document.getElementById('told').textContent = event.data.height; }})</script>
        <iframe title=\"lab\" width=\"640\" height=\"420\" {attributes} src=\"{frame}\"></iframe>"
    );
    std::fs::write(folder.join("index.html"), page).map_err(|error| error.to_string())?;
    Ok(folder)
}

fn in_a_frame(attributes: &str, for_frames: bool, check: impl FnOnce(&Page) -> Outcome) -> Outcome {
    let Some(site) = built_site() else { return Ok(()) };
    let inner = if for_frames { Server::start_for_frames(&site)? } else { Server::start(&site)? };
    let frame = inner.address("?lab=fourier-head-draw&amp;embed=1&amp;panel=density#steps=4000");
    let folder = host(&frame, attributes)?;
    let outer = Server::start(&folder)?;
    let browser = Browser::start(Look::default())?;
    let page = browser.page();
    page.open(&outer.address(""))?;
    page.frame(Some(0))?;
    check(&page)?;
    if for_frames {
        page.frame(None)?;
        page.eventually(STARTING, "height of the frame", || {
            let told = page.script("return Number(document.getElementById('told').textContent)", json!([]))?;
            Ok(told.as_f64().filter(|height| (200.0..900.0).contains(height)).map(drop))
        })?;
        assert_eq!(page.console_errors()?, Vec::<String>::new());
    }
    let _removed = std::fs::remove_dir_all(folder);
    Ok(())
}

#[test]
fn a_frame_of_another_origin_runs_and_tells_its_height() -> Outcome {
    in_a_frame("", true, |page| wait_for_step(page, 20, STARTING).map(drop))
}

#[test]
fn a_sandboxed_frame_runs_without_storage() -> Outcome {
    in_a_frame("sandbox=\"allow-scripts\"", true, |page| {
        wait_for_step(page, 20, STARTING)?;
        let denied = "try { localStorage.length; return false } catch { return true }";
        assert_eq!(page.script(denied, json!([]))?, json!(true), "the sandbox is none");
        Ok(())
    })
}

#[test]
fn a_sandboxed_frame_whose_host_forbids_it_says_what_is_missing() -> Outcome {
    in_a_frame("sandbox=\"allow-scripts\"", false, |page| {
        page.eventually(STARTING, "sentence about the header", || {
            Ok(page.text()?.contains("Access-Control-Allow-Origin").then_some(()))
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
    page.find("switch", "Two Gaussians")?.click()?;
    page.eventually(STARTING, "figure without the rival", || {
        Ok(panels(&page)?.first().is_some_and(|(_, drawn)| !drawn.contains("2 Gaussians")).then_some(()))
    })?;
    page.find("button", "Restart")?.click()?;
    page.eventually(STARTING, "restart", || Ok((step(&page)? < 200).then_some(())))?;
    wait_for_step(&page, 300, STARTING).map(drop)
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

    let page = visit.open("?lab=fourier-head-draw&start=paused#steps=60")?;
    page.find("region", "Fig. 1What each head believes")?;
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(step(&page)?, 0, "it did not wait");

    let page = visit.open("?lab=fourier-head-draw&embed=1&panel=density&start=click#steps=60")?;
    page.eventually(STARTING, "recorded picture", || Ok(page.text()?.contains("recorded").then_some(())))?;
    let loaded =
        "return performance.getEntriesByType('resource').filter((file) => file.name.includes('engine')).length";
    assert_eq!(page.script(loaded, json!([]))?, json!(0), "an engine was fetched before anybody asked");
    page.find("button", "Run it here")?.click()?;
    wait_for_step(&page, 60, STARTING)?;
    visit.end()
}

#[test]
fn the_content_policy_refuses_what_it_should() -> Outcome {
    let Some(visit) = Visit::start(Look::default())? else { return Ok(()) };
    let page = visit.open("?lab=fourier-head-draw#steps=60")?;
    wait_for_step(&page, 60, STARTING)?;
    let provoke = "window.refused = []; addEventListener('securitypolicyviolation', (event) => window.refused.push(event.effectiveDirective));
        const script = document.createElement('script'); script.textContent = 'window.ran = true'; document.body.append(script);
        fetch('http://127.0.0.1:9/elsewhere').catch(() => {});
        const styled = document.createElement('p'); styled.setAttribute('style', 'color: red'); document.body.append(styled);";
    page.script(provoke, json!([]))?;
    page.eventually(STARTING, "three refusals", || {
        let refused = page.script("return window.refused.join(' ')", json!([]))?;
        let refused = refused.as_str().unwrap_or_default().to_owned();
        let all = ["script-src", "connect-src", "style-src"].iter().all(|part| refused.contains(part));
        Ok(all.then_some(()))
    })?;
    assert_eq!(page.script("return window.ran ?? false", json!([]))?, json!(false), "an inline script ran");
    // The complaints were asked for.
    page.console_errors()?;
    visit.end()
}
