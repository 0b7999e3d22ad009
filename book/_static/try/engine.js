// The exercises of the book, solved on the page: coursekitTry.run(id, code) promises a verdict. A worker runs one
// answer and is ended, so that no answer sees another's and an endless loop costs nothing; the next one is started
// at once. Another worker, in which no answer ever runs, judges: with the same Python files as `check`.
// Plain scripts, no request once all is loaded: it works from a file as well.
window.coursekitTry = (() => {
  const HERE = new URL("./", document.currentScript.src);
  const MORE = 50; // characters in which the worker says that there was more; what goes beyond went round it
  const START = 20; // seconds until a worker must be ready
  const exercises = {};
  const running = new Set(); // how to stop each
  let parts = null, spare = null, judging = null;

  function script(name) {
    return new Promise((done, failed) => {
      document.head.append(Object.assign(document.createElement("script"),
        {src: new URL(name, HERE).href, onload: done, onerror: () => failed(new Error(`${name} did not load`))}));
    });
  }

  // What every worker is made of, put together once.
  async function assembled() {
    const large = coursekitTry.micropython || script("micropython.js");
    await Promise.all([...["words.js", "unread.js", "translate.js", "parts.js"].map(script), large]);
    const {loader, wasm} = coursekitTry.micropython, {worker, files} = coursekitTry.parts;
    const source = `async function loader() { let process; ${loader}\nreturn loadMicroPython; }\n${worker}`;
    const bytes = Uint8Array.from(atob(wasm), (c) => c.charCodeAt(0));
    return {url: URL.createObjectURL(new Blob([source], {type: "text/javascript"})), wasm: bytes, files};
  }

  async function started() {
    const {url, wasm, files} = await (parts ??= assembled());
    const worker = new Worker(url);
    await new Promise((ready, failed) => {
      const late = setTimeout(() => failed(new Error("the page's Python did not start")), START * 1000);
      worker.onmessage = ({data}) => {
        clearTimeout(late);
        if (data.failed) failed(new Error(data.failed));
        else ready();
      };
      worker.onerror = (error) => failed(new Error(error.message));
      worker.postMessage({wasm, files});
    });
    return worker;
  }

  function warm() {
    judging ??= started();
    judging.catch(() => { judging = null; });
    spare ??= started();
    spare.catch(() => { spare = parts = null; }); // tried again at the next click
    return spare;
  }

  async function taken() {
    const mine = warm();
    spare = null; // at once: a second run must not get the same one
    const worker = await mine;
    warm();
    return worker;
  }

  // {defined, outcomes, printed, late}: what the worker told before its end or the limit, as far as it came.
  function heard(worker, message, seconds = coursekitTry.parts.seconds) {
    return new Promise((done) => {
      const told = {outcomes: [], printed: ""};
      const end = (how) => {
        clearTimeout(limit);
        worker.terminate();
        running.delete(stop);
        done({...told, ...how});
      };
      const limit = setTimeout(() => end({late: seconds}), seconds * 1000);
      const stop = () => end({stopped: true});
      running.add(stop);
      worker.onerror = (event) => { event.preventDefault(); end({broken: event.message}); };
      worker.onmessage = ({data}) => {
        if ("printed" in data) told.printed += data.printed;
        if (told.printed.length > coursekitTry.parts.printed + MORE) end({broken: "too much was printed"});
        if ("defined" in data) told.defined = data.defined;
        if ("outcome" in data) told.outcomes.push(data.outcome);
        if (data.done) end({});
      };
      worker.postMessage(message);
    });
  }

  const tooLate = (seconds) => coursekitTry.parts.late.replace("{}", seconds);

  // The verdict on what came of each case: {value} or an error {type, text, line, stub} or {late: seconds}.
  async function judge(exercise, outcomes, code) {
    const told = outcomes.map(({value, stub, late, ...error}) => value !== undefined ? {value} : {
      error: late ? tooLate(late) : coursekitTry.describe(error, code),
      stub, late: Boolean(late)});
    const worker = await (judging ??= started());
    return new Promise((done, failed) => {
      const {port1, port2} = new MessageChannel(); // verdicts may be asked for two at a time
      port1.onmessage = ({data}) => {
        port1.close();
        if (data.fatal) failed(new Error(data.text));
        else done(data);
      };
      const [known, came] = [exercise.known, told].map((data) => JSON.stringify(data));
      worker.postMessage({known, outcomes: came, port: port2}, [port2]);
    });
  }

  function refused(exercise, line) {
    return {status: "error", passed: 0, cases: exercise?.cases.length ?? 0, misconception: null, lines: [line]};
  }

  // No verdict: the answer needs what the page has not. lack: {lack, line}.
  function unjudged(exercise, {lack, line}) {
    const where = line ? ` (your line ${line})` : "";
    const sentence = coursekitTry.parts.unjudged.replace("{}", () => lack + where);
    return {...refused(exercise, sentence), status: "unjudged"};
  }

  function verdict(exercise, code, told) {
    const failed = (line) => refused(exercise, line);
    if (told.stopped) return {...failed("Stopped."), status: "stopped"};
    const {defined, outcomes} = told;
    const broken = {type: "Error", text: told.broken || "the page's Python broke off"};
    const last = told.late ? {late: told.late} : broken;
    if (defined === undefined) return failed(told.late ? tooLate(told.late) : coursekitTry.describe(last, code));
    const lack = [defined, ...outcomes].find((outcome) => outcome?.lack);
    if (lack) return unjudged(exercise, lack);
    if (defined?.missing) return failed(`There is no function ${exercise.signature} in this answer.`);
    if (defined) return failed(coursekitTry.describe(defined, code));
    const fill = outcomes.at(-1)?.fatal ? outcomes.at(-1) : last;
    while (outcomes.length < exercise.cases.length) outcomes.push(fill);
    return coursekitTry.judge(exercise, outcomes, code);
  }

  async function run(id, code, {seconds} = {}) {
    const exercise = exercises[id];
    try {
      await warm();
      await (window.coursekitParse || script("editor.js")); // where there is a panel, it is there
      const {text, lacks, broken} = coursekitTry.translated(code);
      if (lacks.length) return {...unjudged(exercise, lacks[0]), printed: ""};
      const worker = await taken();
      const given = {code: text, broken, function: exercise.function, imports: exercise.imports,
        earlier: exercise.earlier, refuses: exercise.refuses};
      const cases = exercise.cases.map((c) => c.arguments);
      const told = await heard(worker, {source: code, given, cases}, seconds);
      const most = coursekitTry.parts.printed + MORE;
      return {...await verdict(exercise, code, told), printed: told.printed.slice(0, most)};
    } catch (error) {
      const line = `The page's Python does not run here (${error.message}). Solve it in the notebook.`;
      return {...refused(exercise, line), printed: ""};
    }
  }

  const stop = () => running.forEach((end) => end());
  const add = (more) => { Object.assign(exercises, more); };
  return {exercises, run, judge, warm, stop, add};
})();
