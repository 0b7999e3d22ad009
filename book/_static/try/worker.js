// In a worker of its own: MicroPython runs one answer on its cases and tells what came of it; in another worker it
// judges what came. engine.js puts the loader of MicroPython before this text, and ends a worker after each answer
// or at the time limit.
const post = postMessage.bind(self);
const FORBIDDEN = ["fetch", "fetchLater", "XMLHttpRequest", "WebSocket", "WebSocketStream", "EventSource",
  "WebTransport", "importScripts", "Worker", "SharedWorker", "BroadcastChannel", "MessageChannel", "indexedDB",
  "caches", "navigator", "Request", "Notification", "postMessage", "eval", "Function", "webkitRequestFileSystem",
  "cookieStore"];

// Not that an answer reaches JavaScript; but if one did, there is nothing to make a request with.
function forbid() {
  for (const made of [function () {}, async function () {}, function* () {}, async function* () {}]) {
    Object.defineProperty(Object.getPrototypeOf(made), "constructor", {value: undefined});
  }
  for (let owner = self; owner && owner !== Object.prototype; owner = Object.getPrototypeOf(owner)) {
    for (const name of FORBIDDEN) {
      if (Object.hasOwn(owner, name) && !delete owner[name]) {
        Object.defineProperty(owner, name, {value: undefined, writable: false});
      }
    }
  }
  globalThis.proxy_js_ref[0] = Object.freeze(Object.create(null)); // what Python would see as `js`
}

let python;
let line = [];
const decoder = new TextDecoder();

function printed() {
  if (line.length) post({printed: decoder.decode(new Uint8Array(line))});
  line = [];
}

function stdout(bytes) {
  line.push(bytes[0]);
  if (bytes[0] === 10) printed();
}

async function prepare({wasm, files}) {
  const loadMicroPython = await loader();
  python = await loadMicroPython({wasm, stdout, linebuffer: false, heapsize: 8 << 20, pystack: 16 << 10});
  for (const folder of ["/lib", "/lib/coursekit", "/lib/coursekit/autograder"]) python.FS.mkdir(folder);
  for (const [name, text] of Object.entries(files)) python.FS.writeFile(`/lib/${name}`, text);
  python.runPython("import small_runner");
  forbid();
  post({ready: true});
}

// A call into Python. The stack of JavaScript may end before that of Python.
function told(expression) {
  try {
    python.runPython(`told = ${expression}`);
    return JSON.parse(python.globals.get("told"));
  } catch (error) {
    const lack = error instanceof RangeError ? "a recursion this deep is not possible on the page" : null;
    return {fatal: true, type: "Error", text: String(error.message || error), lack};
  }
}

function run({source, given, cases}) {
  python.globals.set("source", source);
  python.globals.set("given", JSON.stringify(given));
  const wrong = told("small_runner.define(source, given)");
  printed();
  post({defined: wrong});
  for (let i = 0; !wrong && i < cases.length; i++) {
    python.globals.set("arguments", cases[i]);
    const outcome = told("small_runner.call(arguments)");
    printed();
    post({outcome, at: i});
    if (outcome.fatal) break;
  }
  post({done: true});
}

function judge({known, outcomes, port}) {
  python.runPython("import small_judge");
  python.globals.set("known", known);
  python.globals.set("outcomes", outcomes);
  port.postMessage(told("small_judge.judge(known, outcomes)"));
}

onmessage = ({data}) => {
  if (data.known) judge(data);
  else if (!data.wasm) run(data);
  else prepare(data).catch((error) => post({failed: String(error.message || error)}));
};
