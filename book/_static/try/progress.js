// How far a reader is, on the first page: counted from what this browser keeps, and kept nowhere else.
(() => {
  const box = document.getElementById("progress"), points = JSON.parse(box.dataset.points);

  function button(text, action) {
    const made = Object.assign(document.createElement("button"), {type: "button", textContent: text});
    made.addEventListener("click", action);
    return made;
  }

  function records() {
    return Object.keys(points).map((id) => [id, kept(id)]).filter(([, r]) => r.solved || r.answer);
  }

  function count() {
    const solved = Object.keys(points).filter((id) => kept(id).solved);
    const sum = (ids) => ids.reduce((total, id) => total + points[id], 0);
    box.querySelector("label").textContent = `${solved.length} of ${Object.keys(points).length} solved, ` +
      `${sum(solved)} of ${sum(Object.keys(points))} points`;
    box.querySelector("progress").value = solved.length;
    box.querySelector(".ck-buttons").hidden = !records().length;
  }

  function save() {
    const text = JSON.stringify(Object.fromEntries(records()), null, 1);
    const link = Object.assign(document.createElement("a"),
      {href: URL.createObjectURL(new Blob([text], {type: "application/json"})), download: "coursekit-answers.json"});
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  function ask(on) {
    box.querySelector(".ck-ask").hidden = !on;
    box.querySelector(on ? ".ck-ask button" : ".ck-buttons button:last-child").focus();
  }

  function erase() {
    Object.keys(localStorage).filter((key) => key.startsWith("coursekit:")).forEach((key) => localStorage.removeItem(key));
    box.querySelector(".ck-ask").hidden = true;
    count();
    const said = box.querySelector("[role=status]");
    said.textContent = "Erased.";
    said.focus();
  }

  function build() {
    box.innerHTML = `<label for="ck-bar"></label> <progress id="ck-bar" max="${Object.keys(points).length}"></progress>
      <p>Exercises that you solve on the pages are counted here, in this browser and nowhere else.</p>
      <div class="ck-buttons"></div>
      <div class="ck-ask" hidden><p>Erase every answer and every mark? This can't be undone.</p></div>
      <p role="status" tabindex="-1"></p>`;
    box.querySelector(".ck-buttons").append(button("Save as a file", save), button("Erase", () => ask(true)));
    box.querySelector(".ck-ask").append(button("Keep them", () => ask(false)), button("Erase all", erase));
    box.hidden = false;
  }

  try { localStorage.getItem("coursekit"); } catch { return; } // no storage, no progress
  build();
  count();
  addEventListener("pageshow", count); // back from a chapter
  addEventListener("storage", count); // solved in another tab
})();
