// Loads the page's wasm, says why when it cannot, and starts engines.
// A classic script: in a sandboxed frame it still runs where module scripts are refused, and can say what is missing.
(() => {
  "use strict";

  const tag = document.currentScript;
  const place = document.getElementById("start");
  // Absolute, because a worker that starts from a blob has no address to be relative to.
  const address = (name) => new URL(name, tag.src).href;
  const page = { js: new URL(tag.dataset.js, document.baseURI).href, wasm: new URL(tag.dataset.wasm, document.baseURI).href };
  // Names what page and engines were built from. Engine files keep their names, so a cached old one must not answer for a new one.
  const version = tag.dataset.version;

  // A module of one function that makes a vector of sixteen bytes: it is valid only where SIMD is.
  const simd = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11]);

  function say(sentence) {
    const paragraph = document.createElement("p");
    paragraph.textContent = sentence;
    place.setAttribute("role", "alert");
    place.replaceChildren(paragraph);
  }

  // What a failed load does not tell by itself.
  async function reason(error) {
    if (location.protocol === "file:") {
      return "it was opened as a file. Browsers load WebAssembly only from a web server.";
    }
    for (const file of [page.js, page.wasm]) {
      const name = file.split("/").pop();
      try {
        const answer = await fetch(file);
        if (!answer.ok) return `the server has no ${name} (${answer.status}). If the site was just updated, loading the page again helps.`;
      } catch {
        return self.origin === "null"
          ? `a sandboxed frame may read ${name} only if the server sends "Access-Control-Allow-Origin: *".`
          : `${name} could not be fetched: the network or a content blocker stands in the way.`;
      }
    }
    return String((error && error.message) || error);
  }

  async function start() {
    if (typeof WebAssembly !== "object") throw new Error("this browser has no WebAssembly, or it is switched off.");
    if (!WebAssembly.validate(simd)) throw new Error("this browser's WebAssembly has no SIMD. Any browser since 2023 has.");
    const module = await import(page.js);
    await module.default({ module_or_path: page.wasm });
    place.remove();
  }

  // A classic worker from a blob: it runs in a sandboxed frame too, and the page's content policy binds it.
  // The engine hears nothing before its wasm runs, so it must speak first. `{ fault }` is the blob's own message.
  function startEngine(kind) {
    const engine = `${kind}-engine`;
    const js = address(`${engine}.js?v=${version}`);
    const wasm = address(`${engine}_bg.wasm?v=${version}`);
    const text = `
      const fault = (error) => postMessage({ fault: String((error && error.message) || error) });
      addEventListener("error", (event) => fault(event.error || event.message));
      // A throw inside a promise never reaches the page's worker.onerror.
      addEventListener("unhandledrejection", (event) => fault(event.reason));
      // The engine fetches data by paths below the site, which a blob does not know.
      self.site = ${JSON.stringify(address("."))};
      (async () => {
        try {
          importScripts(${JSON.stringify(js)});
          await wasm_bindgen({ module_or_path: ${JSON.stringify(wasm)} });
        } catch (error) {
          // The error of a script that did not come does not say why.
          for (const file of ${JSON.stringify([js, wasm])}) {
            const name = file.split("/").pop().split("?")[0];
            const answer = await fetch(file).catch(() => null);
            if (!answer) return fault("the network or a content blocker stands before " + name);
            if (!answer.ok) return fault("the server did not send " + name + " (" + answer.status + ")");
          }
          fault(error);
        }
      })();`;
    const blob = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
    const worker = new Worker(blob, { name: engine });
    worker.addEventListener("message", () => URL.revokeObjectURL(blob), { once: true });
    return worker;
  }

  globalThis.headsAndTails = { startEngine, version };
  start().catch(async (error) => {
    console.error(error);
    say(`The page could not start: ${await reason(error)}`);
  });
})();
