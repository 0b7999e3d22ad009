// What is wider than the column scrolls, and what scrolls can be reached by keyboard.
function reachable() {
  document.querySelectorAll("div.math, .pst-scrollable-table-container, pre").forEach((box) => {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
  });
}
addEventListener("load", () => {
  reachable();
  if (window.MathJax && MathJax.startup) MathJax.startup.promise.then(reachable);
});
addEventListener("resize", reachable);
// The search's summaries are fetched, which a browser refuses from file://; the list of pages is not.
if (location.protocol === "file:" && typeof DOCUMENTATION_OPTIONS !== "undefined") {
  DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
}
// Every exercise can be solved on the page; all that this takes is loaded at the first click.
const TRY = new URL("try/", document.currentScript.src);
const loading = {};
function load(name) {
  return loading[name] ??= new Promise((done, failed) => {
    const sheet = name.endsWith(".css"), file = new URL(name, TRY).href;
    const made = Object.assign(document.createElement(sheet ? "link" : "script"),
      sheet ? {rel: "stylesheet", href: file} : {src: file, async: false}, {onload: done, onerror: failed});
    document.head.append(made);
  });
}
// What a reader wrote and solved stays in this browser: {answer, others, solved} of an exercise. others: versions
// in whose place another tab, a reset or a loaded file has put one; see try/answer.js.
const KEPT = "coursekit:";
function cleaned({answer, others, solved}) {
  const text = (x) => typeof x === "string" ? x : undefined;
  return {answer: text(answer), others: Array.isArray(others) ? others.filter(text) : [], solved: text(solved)};
}
function kept(id) {
  try { return cleaned(JSON.parse(localStorage.getItem(KEPT + id)) ?? {}); } catch { return cleaned({}); }
}
// Returns "", or why nothing was kept: "blocked" or "full".
function keep(id, changes) {
  try {
    const {others, ...record} = {...kept(id), ...changes};
    localStorage.setItem(KEPT + id, JSON.stringify(others.length ? {...record, others} : record));
    return "";
  } catch (error) {
    return error.name === "QuotaExceededError" ? "full" : "blocked";
  }
}
const unkept = () => keep("", {}) || (localStorage.removeItem(KEPT), ""); // only tried
const MARK = "✓ solved";
const markOf = (id) => kept(id).solved ? MARK : "";
function offer(cell) {
  const mark = [...cell.classList].find((word) => word.startsWith("exercise-")); // written by _ext/tryit.py
  const id = mark?.slice("exercise-".length), section = cell.closest("section");
  const stub = id && section.querySelector("div.cell.tag_exercise");
  if (!stub) return;
  const name = section.querySelector("h3").textContent.split(":")[0].toLowerCase(); // "exercise 2.2"
  const button = Object.assign(document.createElement("button"), {type: "button", textContent: "Try it here"});
  button.setAttribute("aria-label", `Try it here: ${name}`);
  const note = Object.assign(document.createElement("span"), {className: "ck-mark", textContent: markOf(id)});
  note.setAttribute("role", "status");
  note.dataset.exercise = id;
  const bar = Object.assign(document.createElement("p"), {className: "ck-offer"});
  bar.dataset.exercise = id;
  bar.append(button, " ", note);
  stub.after(bar);
  const chapter = location.pathname.split("/").pop().replace(/\.html$/, "");
  const parts = ["engine.js", "page.css", `exercises/${chapter}.js`, "editor.js", "answer.js", "page.js"];
  button.addEventListener("click", () => {
    load("engine.js").then(() => coursekitTry.warm()).catch(() => {}); // the first check will say why
    Promise.all(parts.map(load)).then(
      () => coursekitPanel({id, name, bar, button, note, solution: section.querySelector(".tag_solution details")}),
      () => { note.textContent = "The editor did not load. Reload the page, or solve it in the notebook."; });
  });
}
// The table of all exercises has the same marks.
function listed(row) {
  const id = row.cells[1]?.textContent.trim(), place = row.querySelector("a");
  const note = Object.assign(document.createElement("span"), {className: "ck-mark", textContent: markOf(id)});
  note.dataset.exercise = id;
  place?.after(" ", note);
}
// Solved, loaded or erased in another tab, or while this page lay in the browser's memory.
function marked() {
  document.querySelectorAll(".ck-mark").forEach((note) => { note.textContent = markOf(note.dataset.exercise); });
}
addEventListener("storage", marked);
addEventListener("pageshow", (event) => { if (event.persisted) marked(); });
// Paper shows an answer under its stub.
addEventListener("beforeprint", () => {
  document.querySelectorAll(".ck-print").forEach((old) => old.remove());
  document.querySelectorAll(".ck-offer").forEach((bar) => {
    const open = bar.coursekitAnswer, text = open ? open.written() : kept(bar.dataset.exercise).answer;
    if (text === undefined) return;
    const box = Object.assign(document.createElement("div"), {className: "ck-print"});
    box.append(`Your answer ${bar.querySelector(".ck-mark").textContent}`,
      Object.assign(document.createElement("pre"), {textContent: text}));
    bar.before(box);
  });
});
document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll("div.cell.tag_check").forEach(offer);
  document.querySelectorAll(".ck-exercises tbody tr").forEach(listed);
  if (document.getElementById("progress")) load("progress.js");
});
