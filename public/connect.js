// Sends the requests of a lab to the one server whose address the reader typed. It runs in a hidden page of its own,
// connect.html, for the policy of every other page lets it ask this site alone.
(() => {
  "use strict";

  // A longer answer is not one of a chat.
  const most = 8 << 20;
  let origin = null;

  // The first message names the origin. A policy for it is put into this page at once, and no script takes one out again.
  function allow(asked) {
    // Any other sign could say more to a policy than one origin.
    if (!/^https?:\/\/[a-z0-9.-]+(:\d+)?$/.test(asked)) return false;
    const policy = document.createElement("meta");
    policy.httpEquiv = "Content-Security-Policy";
    policy.content = `connect-src ${asked}`;
    document.head.append(policy);
    origin = asked;
    return true;
  }

  async function read(response) {
    const parts = [];
    let length = 0;
    const reader = response.body ? response.body.getReader() : null;
    while (reader) {
      const { done, value } = await reader.read();
      if (done) break;
      parts.push(value);
      length += value.length;
      if (length > most) {
        await reader.cancel();
        return null;
      }
    }
    return new Blob(parts).arrayBuffer();
  }

  async function send({ address, method, headers, body }, signal) {
    let response;
    try {
      // Nothing goes along that was not asked for, and nothing goes on to another server.
      const alone = { credentials: "omit", redirect: "error", referrerPolicy: "no-referrer", cache: "no-store" };
      response = await fetch(address, { method, headers, body, signal, ...alone });
    } catch {
      return { failure: "unreachable" };
    }
    try {
      const bytes = await read(response);
      return bytes ? { status: response.status, headers: [...response.headers], body: bytes } : { failure: "too long" };
    } catch {
      return { failure: "cut off" };
    }
  }

  addEventListener("message", async (event) => {
    const [port] = event.ports;
    // Another site that holds this page in a frame must not ask in the name of this one.
    if (event.source !== parent || event.origin !== self.origin || !port) return;
    const allowed = event.data.origin === origin || (origin === null && allow(event.data.origin));
    if (!allowed) return port.postMessage({ failure: "unreachable" });
    const stop = new AbortController();
    port.onmessage = () => stop.abort();
    const answer = await send(event.data, stop.signal);
    if (!stop.signal.aborted) port.postMessage(answer, answer.body ? [answer.body] : []);
  });
})();
