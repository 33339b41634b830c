//! Serves a folder as the plainest static host would: below a path, without rewriting anything.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use tiny_http::{Header, Request, Response};

use crate::Outcome;

/// Nobody's site lies at the root of a host that is shared.
const PREFIX: &str = "/some/sub/path/";

/// In the name of no file.
const NOTHING: &str = "nothing is called so";
/// Where no other machine sees it.
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A header that goes with every file: its name and value.
type Said = (&'static str, &'static str);

/// Serves until it is dropped.
pub struct Server {
    server: Arc<tiny_http::Server>,
    origin: String,
}

impl Server {
    /// # Errors
    ///
    /// When no port can be opened.
    pub fn start(folder: &Path) -> Outcome<Self> {
        Self::start_as(folder, HERE, NOTHING, &[])
    }

    /// The same host at an address that other machines see too: only the one of before is trusted without TLS.
    ///
    /// # Errors
    ///
    /// When no port can be opened there.
    pub fn start_at(folder: &Path, address: IpAddr) -> Outcome<Self> {
        Self::start_as(folder, address, NOTHING, &[])
    }

    /// A host that lets frames without an origin of their own, as sandboxed ones are, read its files.
    ///
    /// # Errors
    ///
    /// When no port can be opened.
    pub fn start_for_frames(folder: &Path) -> Outcome<Self> {
        Self::start_as(folder, HERE, NOTHING, &[("Access-Control-Allow-Origin", "*")])
    }

    /// A host whose files a browser may keep for a while, as most hosts say.
    ///
    /// # Errors
    ///
    /// When no port can be opened.
    pub fn start_kept(folder: &Path) -> Outcome<Self> {
        Self::start_as(folder, HERE, NOTHING, &[("Cache-Control", "max-age=3600")])
    }

    /// A host that keeps its pages apart from those of other origins, upon which a browser lets them have a fine clock.
    ///
    /// # Errors
    ///
    /// When no port can be opened.
    pub fn start_apart(folder: &Path) -> Outcome<Self> {
        let apart = &[("Cross-Origin-Opener-Policy", "same-origin"), ("Cross-Origin-Embedder-Policy", "require-corp")];
        Self::start_as(folder, HERE, NOTHING, apart)
    }

    /// The same host after an upload that lost every file whose name contains `lost`.
    ///
    /// # Errors
    ///
    /// When no port can be opened.
    pub fn start_without(folder: &Path, lost: &'static str) -> Outcome<Self> {
        Self::start_as(folder, HERE, lost, &[])
    }

    fn start_as(folder: &Path, address: IpAddr, lost: &'static str, also: &'static [Said]) -> Outcome<Self> {
        let server =
            tiny_http::Server::http((address, 0)).map_err(|error| format!("no port could be opened: {error}"))?;
        let origin = format!("http://{}", server.server_addr());
        let server = Arc::new(server);
        // As many as a browser opens connections; with fewer a slow answer would hold up the others.
        for _ in 0..6 {
            let (server, folder) = (Arc::clone(&server), folder.to_owned());
            thread::spawn(move || {
                while let Ok(request) = server.recv() {
                    answer(request, &folder, lost, also);
                }
            });
        }
        Ok(Self { server, origin })
    }

    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The address of a file or, with "", of the page.
    pub fn address(&self, file: &str) -> String {
        format!("{}{PREFIX}{file}", self.origin)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for _ in 0..6 {
            self.server.unblock();
        }
    }
}

/// A browser that goes away in mid-answer is no error of the server's, so failures to answer are dropped.
fn answer(request: Request, folder: &Path, lost: &str, also: &'static [Said]) {
    let path = request.url().split(['?', '#']).next().unwrap_or_default();
    let file = path.strip_prefix(PREFIX).map(|file| if file.is_empty() { "index.html" } else { file });
    let bytes = file
        .filter(|file| !file.contains("..") && !file.contains(lost))
        .map(|file| folder.join(file))
        .and_then(|file: PathBuf| Some((std::fs::read(&file).ok()?, file)));
    let _gone = match bytes {
        Some((bytes, file)) => {
            let mut response = Response::from_data(bytes);
            for (name, value) in [("Content-Type", kind(&file))].iter().chain(also) {
                if let Ok(header) = Header::from_bytes(*name, *value) {
                    response.add_header(header);
                }
            }
            request.respond(response)
        }
        None => request.respond(Response::from_string("not found").with_status_code(404)),
    };
}

fn kind(file: &Path) -> &'static str {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript",
        Some("css") => "text/css",
        Some("json") => "application/json",
        Some("wasm") => "application/wasm",
        Some("woff2") => "font/woff2",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        _ => "application/octet-stream",
    }
}
