// The panel under an exercise: an editor, a verdict, hints. course.js loads it at the first "Try it here".
(() => {
  const KEY = /Mac|iPhone|iPad/.test(navigator.platform) ? "⌘" : "Ctrl";
  const LEAVING = "copy your answer to the notebook before you leave this page";
  const KEEPS = {
    "": "What you write stays in this browser.",
    blocked: `This browser does not let the page keep anything: ${LEAVING}.`,
    full: `This browser's storage is full, and what you write now is not kept: ${LEAVING}.`,
  };
  const OTHER = ["Show the other version", "Discard the other version"];
  const VERSIONS = { // what is said of another version, the button that changes to it, the one that drops it
    reset: ["The stub is back, and your answer is kept.", "Undo the reset", "Discard my answer"],
    erased: ["In another tab this answer was reset or erased.", "Show the stub", "Keep this answer"],
    tab: ["Another tab holds another version of this answer.", ...OTHER],
    kept: ["Another version of this answer is kept.", ...OTHER],
  };
  const panels = {};

  function make(tag, properties, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (name in element) element[name] = value;
      else element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
  }

  function button(text, action, className = "") {
    const made = make("button", {type: "button", className}, ...[text].flat());
    made.addEventListener("click", action);
    return made;
  }

  // The `code` and *stress* of a hint.
  function inline(text) {
    return text.split(/(`[^`]+`|\*[^*\s][^*]*\*)/).map((part, i) =>
      i % 2 ? make(part[0] === "`" ? "code" : "em", {textContent: part.slice(1, -1)}) : part);
  }

  async function copied(text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch { // an old browser, or a page without https
      const box = make("textarea", {value: text});
      document.body.append(box);
      box.select();
      const done = document.execCommand("copy");
      box.remove();
      return done;
    }
  }

  class Panel {
    constructor(offer) {
      Object.assign(this, offer, coursekitTry.exercises[offer.id], {turn: 0, shown: 0});
      this.build();
      this.bar.after(this.section);
      this.place = this.bar.parentElement; // the exercise's own section
      this.answer = this.bar.coursekitAnswer = new CoursekitAnswer(this.id, this.stub);
      this.editor = coursekitEditor(this.section.firstChild, {
        text: this.answer.text, label: `Your answer to ${this.name}`, help: `ck-help-${this.id}`,
        onRun: () => this.check(), onChange: () => { this.keep(); this.age(); }});
      this.compare();
    }

    // Keeps what the editor holds, and says what comes of it.
    keep(changes, versions) {
      this.answer.keep(this.editor.text(), changes, versions);
      this.compare();
    }

    // Says whether the answer is kept, and offers another version of it where there is one.
    compare() {
      const {failure} = this.answer, {rival, from} = this.answer.rival();
      this.keeps.textContent = KEEPS[failure];
      this.keeps.className = failure && "ck-lost";
      this.choice.hidden = rival === undefined;
      [...this.choice.children].forEach((child, i) => { child.textContent = VERSIONS[from][i]; });
    }

    // Puts another text into the editor, and what was there among the versions.
    change(to) {
      const versions = [...this.answer.versions(), this.answer.text];
      this.editor.replace(to);
      this.keep({}, versions);
    }

    discard(version) {
      this.keep({}, this.answer.versions().filter((other) => other !== version));
    }

    choose(action) {
      this[action](this.answer.rival().rival);
      (this.choice.hidden ? this.resetter : document.activeElement).focus();
    }

    build() {
      this.run = button("", () => this.check(), "ck-run");
      this.halt = button("Stop", () => this.stop());
      this.hinter = button("", () => this.hint());
      this.copier = button("Copy to notebook", () => this.copy());
      this.resetter = button("Reset", () => this.reset());
      this.keeps = make("span", {role: "status"});
      this.choice = make("div", {className: "ck-choice ck-buttons", hidden: true}, make("p", {role: "status"}),
        button("", () => this.choose("change")), button("", () => this.choose("discard")));
      this.old = make("p", {className: "ck-old", hidden: true}, "You have changed the answer since this verdict.");
      this.verdict = make("div", {className: "ck-verdict", "aria-live": "polite"});
      this.hintBox = make("div", {className: "ck-hints", "aria-live": "polite"});
      this.said = make("p", {className: "ck-said", role: "status"});
      this.printed = make("div", {className: "ck-printed", hidden: true});
      this.section = make("section", {className: "ck-try", hidden: true, "aria-label": `Try ${this.name} here`},
        make("div", {className: "ck-editor highlight"}),
        make("p", {className: "ck-help", id: `ck-help-${this.id}`},
          "Tab indents; to leave the editor press Escape, then Tab. ", this.keeps),
        make("div", {className: "ck-buttons"}, this.run, this.halt, this.hinter,
          button("Show the solution", () => this.solve()), this.copier, this.resetter),
        this.choice, this.said, this.old, this.verdict, this.printed, this.hintBox);
      this.busy(false);
      this.labelHint();
    }

    toggle() {
      const open = this.section.hidden;
      this.section.hidden = !open;
      this.place.classList.toggle("ck-open", open); // the panel has the stub and the hints: not both twice
      this.button.textContent = open ? "Close" : "Try it here";
      this.button.setAttribute("aria-expanded", open);
      this.button.setAttribute("aria-label", `${this.button.textContent}: ${this.name}`);
      if (open) this.editor.focus();
      else this.stop();
    }

    busy(on) {
      clearTimeout(this.slow);
      this.running = on;
      this.run.setAttribute("aria-disabled", on); // not disabled, which would lose the focus
      this.run.replaceChildren(...(on ? ["Running…"] : ["Check ", make("span", {}, `(${KEY}+Enter)`)]));
      if (!on && document.activeElement === this.halt) this.run.focus();
      if (on) this.slow = setTimeout(() => { this.halt.hidden = false; }, 300); // most runs are over by then
      else this.halt.hidden = true;
    }

    async check() {
      if (this.running) return;
      Object.values(panels).forEach((panel) => panel.stop()); // one answer runs at a time
      const turn = ++this.turn;
      this.say("");
      this.busy(true);
      const text = this.editor.text();
      await coursekitTry.warm().catch(() => {}); // the run will say why
      if (turn !== this.turn) return; // stopped before it began
      const result = await coursekitTry.run(this.id, text);
      if (turn !== this.turn) return; // stopped: what comes now is too late
      this.busy(false);
      this.show(result, text);
    }

    stop() {
      if (!this.running) return;
      this.turn++;
      coursekitTry.stop();
      this.busy(false);
      this.show({status: "stopped", lines: ["Stopped."], printed: ""});
    }

    // A verdict on another text than the editor holds is out of date.
    age() {
      this.old.hidden = this.judged === undefined || this.editor.text() === this.judged;
    }

    show({status, lines, printed}, text) {
      this.judged = text;
      this.age();
      this.verdict.dataset.status = status;
      this.verdict.replaceChildren(make("pre", {}, ...lines.map((line) =>
        make("span", {className: line.startsWith("  ") ? "ck-more" : ""}, `${line}\n`))));
      this.printed.hidden = !printed;
      const label = `Printed by your answer to ${this.name}`;
      this.printed.replaceChildren(make("p", {}, "Printed"),
        make("pre", {textContent: printed, tabIndex: 0, role: "region", "aria-label": label}));
      if (status !== "correct") return;
      this.note.textContent = MARK;
      this.keep({solved: new Date().toISOString().slice(0, 10)});
    }

    say(text) {
      this.said.textContent = text;
    }

    hint() {
      if (this.shown === this.hints.length) return;
      this.hintBox.append(make("p", {}, make("strong", {}, `Hint ${this.shown + 1}: `),
        ...inline(this.hints[this.shown])));
      this.shown++;
      this.labelHint();
    }

    labelHint() {
      const left = this.hints.length - this.shown;
      this.hinter.textContent = left ? `Hint ${this.shown + 1}` : "No more hints";
      this.hinter.setAttribute("aria-disabled", !left);
    }

    solve() {
      this.place.classList.add("ck-solved");
      this.solution.open = true;
      this.solution.querySelector("summary").focus();
    }

    async copy() {
      const text = this.editor.text(), done = await copied(text);
      if (done) this.copied = text;
      this.copier.focus(); // the old way of copying takes it
      this.say(done ? `Copied. In the notebook, paste it over the cell with "def ${this.function}".`
        : "This browser does not let a page copy. Mark the text in the editor and copy it.");
    }

    reset() {
      this.answer.before = this.answer.text;
      this.say("");
      this.change(this.stub);
    }
  }

  function compare() {
    Object.values(panels).forEach((panel) => panel.compare());
  }
  addEventListener("storage", compare);
  addEventListener("pageshow", compare);
  addEventListener("beforeunload", (event) => {
    const lost = ({answer, copied}) => answer.failure && ![undefined, copied].includes(answer.written());
    if (Object.values(panels).some(lost)) event.preventDefault();
  });

  window.coursekitPanel = (offer) => (panels[offer.id] ??= new Panel(offer)).toggle();
})();
