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
// What a reader wrote and solved stays in this browser: {answer, solved} of an exercise.
function kept(id) {
  try { return JSON.parse(localStorage.getItem(`coursekit:${id}`)) || {}; } catch { return {}; }
}
function offer(cell) {
  const mark = [...cell.classList].find((word) => word.startsWith("exercise-")); // written by _ext/tryit.py
  const id = mark?.slice("exercise-".length), section = cell.closest("section");
  const stub = id && section.querySelector("div.cell.tag_exercise");
  if (!stub) return;
  const name = section.querySelector("h3").textContent.split(":")[0].toLowerCase(); // "exercise 2.2"
  const button = Object.assign(document.createElement("button"), {type: "button", textContent: "Try it here"});
  button.setAttribute("aria-label", `Try it here: ${name}`);
  const note = Object.assign(document.createElement("span"), {textContent: kept(id).solved ? "✓ solved" : ""});
  note.setAttribute("role", "status");
  const bar = Object.assign(document.createElement("p"), {className: "ck-offer"});
  bar.dataset.exercise = id;
  bar.append(button, " ", note);
  stub.after(bar);
  const chapter = location.pathname.split("/").pop().replace(/\.html$/, "");
  const parts = ["engine.js", "page.css", `exercises/${chapter}.js`, "editor.js", "page.js"];
  button.addEventListener("click", () => {
    load("engine.js").then(() => coursekitTry.warm()).catch(() => {}); // the first check will say why
    Promise.all(parts.map(load)).then(
      () => coursekitPanel({id, name, bar, button, note, solution: section.querySelector(".tag_solution details")}),
      () => { note.textContent = "The editor did not load. Reload the page, or solve it in the notebook."; });
  });
}
document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll("div.cell.tag_check").forEach(offer);
  if (document.getElementById("progress")) load("progress.js");
});
