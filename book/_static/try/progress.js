// How far a reader is, on the first page: counted from what this browser keeps, and kept nowhere else.
(() => {
  const box = document.getElementById("progress"), points = JSON.parse(box.dataset.points);

  function button(text, action, className = "") {
    const made = Object.assign(document.createElement("button"), {type: "button", textContent: text, className});
    made.addEventListener("click", action);
    return made;
  }

  // [id, record] of the exercises of which `find` finds something.
  function records(find = kept) {
    const some = ([, {answer, others, solved}]) => answer || others.length || solved;
    return Object.keys(points).map((id) => [id, find(id)]).filter(some);
  }

  function count() {
    const solved = Object.keys(points).filter((id) => kept(id).solved);
    const sum = (ids) => ids.reduce((total, id) => total + points[id], 0);
    box.querySelector("label").textContent = `${solved.length} of ${Object.keys(points).length} solved, ` +
      `${sum(solved)} of ${sum(Object.keys(points))} points`;
    box.querySelector("progress").value = solved.length;
    box.querySelectorAll(".ck-some").forEach((made) => { made.hidden = !records().length; });
  }

  function say(text) {
    const said = box.querySelector("[role=status]");
    said.textContent = text;
    said.focus();
  }

  function save() {
    const text = JSON.stringify(Object.fromEntries(records()), null, 1);
    const href = URL.createObjectURL(new Blob([text], {type: "application/json"}));
    const link = Object.assign(document.createElement("a"), {href, download: "coursekit-answers.json"});
    link.click(); // the address stays good: a browser that asks first reads it later
  }

  // What a file holds is added to what is here; where both have an answer, the file's becomes a version of it.
  async function load(file) {
    const found = await file.text().then(JSON.parse).catch(() => null);
    const loaded = records((id) => cleaned(found?.[id] ?? {}));
    if (!loaded.length) return say(`${file.name} holds no answers. Choose a file that "Save as a file" has made.`);
    let both = 0, failure = "";
    for (const [id, r] of loaded) {
      const here = kept(id), more = [r.answer, ...r.others].filter((text) => text && text !== here.answer);
      const answer = here.answer ?? more.shift(), others = [...new Set([...here.others, ...more])];
      both += others.length > here.others.length;
      failure ||= keep(id, {answer, others, solved: [here.solved, r.solved].filter(Boolean).sort()[0]});
    }
    count();
    if (failure) return say("Not everything could be kept: this browser's storage is full.");
    const more = both ? ` ${both} had another answer here: both are kept, and the exercise lets you choose.` : "";
    say(`Loaded ${loaded.length} exercise${loaded.length === 1 ? "" : "s"}.${more}`);
  }

  function ask(on) {
    box.querySelector(".ck-ask").hidden = !on;
    box.querySelector(on ? ".ck-ask button" : ".ck-buttons button:last-child").focus();
  }

  function erase() {
    Object.keys(localStorage).filter((key) => key.startsWith(KEPT)).forEach((key) => localStorage.removeItem(key));
    box.querySelector(".ck-ask").hidden = true;
    count();
    say("Erased.");
  }

  function build() {
    box.innerHTML = `<label for="ck-bar"></label>
      <progress id="ck-bar" max="${Object.keys(points).length}"></progress>
      <p>Exercises that you solve on the pages are counted here, in this browser and nowhere else.</p>
      <div class="ck-buttons"></div><input type="file" accept=".json,application/json" hidden>
      <div class="ck-ask" hidden><p>Erase every answer and every mark? This can't be undone.</p></div>
      <p role="status" tabindex="-1"></p>`;
    const chooser = box.querySelector("input");
    chooser.addEventListener("change", () => { load(chooser.files[0]); chooser.value = ""; });
    box.querySelector(".ck-buttons").append(button("Save as a file", save, "ck-some"),
      button("Load a file", () => chooser.click()), button("Erase", () => ask(true), "ck-some"));
    box.querySelector(".ck-ask").append(button("Keep them", () => ask(false)), button("Erase all", erase));
  }

  box.hidden = false;
  if (unkept() === "blocked") {
    box.textContent = "This browser does not let the pages keep anything: " +
      "answers and marks are gone once you leave a page.";
    return;
  }
  build();
  count();
  addEventListener("pageshow", count); // back from a chapter
  addEventListener("storage", count); // solved in another tab
})();
