// The features with a library of Node.js. usage: client.mjs fetch|axios BASE FEATURE…
import assert from "node:assert/strict";
import http from "node:http";
import axios from "axios";

const [library, base, ...features] = process.argv.slice(2);
const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
const client = axios.create({ baseURL: base, httpAgent: agent, proxy: false, validateStatus: () => true, timeout: 20000 });

/** Sends a request; the response has a status, headers with a `get`, and the text of its body. */
async function call(method, path, status, { body, headers = {}, signal } = {}) {
  const sent = body === undefined ? headers : { "Content-Type": "application/json", ...headers };
  const data = body === undefined ? undefined : JSON.stringify(body);
  let response;
  if (library === "fetch") {
    const received = await fetch(base + path, { method, body: data, headers: sent, signal: signal ?? AbortSignal.timeout(20000) });
    response = { status: received.status, headers: received.headers, text: await received.text() };
  } else {
    const received = await client.request({ method, url: path, data, headers: sent, signal, responseType: "text", transformResponse: (text) => text });
    response = { status: received.status, headers: received.headers, text: received.data };
  }
  assert.equal(response.status, status, `${method} ${path}: ${response.text}`);
  return response;
}

const create = (nome, headers) => call("POST", "/api/v1/projetos", 201, { body: { nome }, headers });

const all = {
  async "keep-alive"() {
    for (let n = 0; n < 40; n++) await call("GET", "/healthz", 200);
  },
  async gzip() {
    const response = await call("GET", "/openapi.json", 200, { headers: { "Accept-Encoding": "gzip" } });
    assert.ok(JSON.parse(response.text).openapi);
  },
  async HEAD() {
    assert.equal((await call("HEAD", "/api/v1/projetos", 200)).text, "");
    assert.ok(JSON.parse((await call("GET", "/api/v1/projetos", 200)).text).length);
  },
  async Expect() {
    if (library === "fetch") return "not sent by fetch";
    await create("Expect", { Expect: "100-continue" });
  },
  async CSV() {
    const response = await call("GET", "/api/v1/atividades?formato=csv", 200);
    assert.match(response.headers.get("content-type"), /^text\/csv/);
    assert.ok(response.text.split("\n").length > 300);
  },
  async ETag() {
    const path = (await create("ETag")).headers.get("location");
    const known = (await call("GET", path, 200)).headers.get("etag");
    assert.equal((await call("GET", path, 304, { headers: { "If-None-Match": known } })).text, "");
    await call("PUT", path, 412, { body: { nome: "B" }, headers: { "If-Match": '"antigo"' } });
    await call("PUT", path, 200, { body: { nome: "B" }, headers: { "If-Match": known } });
  },
  async "Idempotency-Key"() {
    const key = { "Idempotency-Key": `${library}-${base.slice(-5)}` };
    assert.equal((await create("Uma vez", key)).text, (await create("Uma vez", key)).text);
  },
  async cancellation() {
    for (let n = 0; n < 5; n++) {
      const controller = new AbortController();
      const pending = call("GET", "/api/v1/atividades?formato=csv", 200, { signal: controller.signal });
      setTimeout(() => controller.abort(), n);
      await pending.catch(() => {});
    }
    await call("GET", "/healthz", 200);
  },
  /** 1,000 requests with the headers of a client that would speak HTTP/2; fetch forbids them. */
  async upgrade() {
    const headers = { Connection: "Upgrade, HTTP2-Settings", Upgrade: "h2c", "HTTP2-Settings": "AAMAAABkAAQBAAAAAAIAAAAA" };
    const numbers = Array.from({ length: 1000 }, (_, n) => n);
    await Promise.all(Array.from({ length: 8 }, async () => {
      for (let n = numbers.pop(); n !== undefined; n = numbers.pop()) await create(`upgrade-${library}-${n}`, headers);
    }));
  },
};

for (const feature of features) {
  try {
    const note = await all[feature]();
    console.log(feature, note ?? "ok");
  } catch (error) {
    console.log(feature, "failed:", String(error).replaceAll("\n", " "));
  }
}
process.exit(0);
