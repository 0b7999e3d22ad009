// The panel under an exercise: an editor, a verdict, hints. course.js loads it at the first "Try it here".
(() => {
  const KEY = /Mac|iPhone|iPad/.test(navigator.platform) ? "⌘" : "Ctrl";
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

  // Storage may be full or forbidden: then an answer lasts as long as its page.
  function keep(id, changes) {
    try { localStorage.setItem(`coursekit:${id}`, JSON.stringify({...kept(id), ...changes})); } catch { /* no matter */ }
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
      const answer = kept(this.id).answer;
      this.editor = coursekitEditor(this.section.firstChild, {
        text: typeof answer === "string" ? answer : this.stub, label: `Your answer to ${this.name}`,
        help: this.section.children[1].id, onRun: () => this.check(),
        onChange: () => this.keep()});
    }

    keep(changes) {
      const text = this.editor.text();
      keep(this.id, {answer: text === this.stub ? undefined : text, ...changes});
    }

    build() {
      this.run = button("", () => this.check(), "ck-run");
      this.halt = button("Stop", () => this.stop());
      this.hinter = button("", () => this.hint());
      this.copier = button("Copy to notebook", () => this.copy());
      this.verdict = make("div", {className: "ck-verdict", "aria-live": "polite"});
      this.hintBox = make("div", {className: "ck-hints", "aria-live": "polite"});
      this.said = make("p", {className: "ck-said", role: "status"});
      this.printed = make("div", {className: "ck-printed", hidden: true});
      this.section = make("section", {className: "ck-try", hidden: true, "aria-label": `Try ${this.name} here`},
        make("div", {className: "ck-editor highlight"}),
        make("p", {className: "ck-help", id: `ck-help-${this.id}`},
          "Tab indents; to leave the editor press Escape, then Tab. What you write stays in this browser."),
        make("div", {className: "ck-buttons"}, this.run, this.halt, this.hinter,
          button("Show the solution", () => this.solve()), this.copier, button("Reset", () => this.reset())),
        this.said, this.verdict, this.printed, this.hintBox);
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
      this.show(result);
    }

    stop() {
      if (!this.running) return;
      this.turn++;
      coursekitTry.stop();
      this.busy(false);
      this.show({status: "stopped", lines: ["Stopped."], printed: ""});
    }

    show({status, lines, printed}) {
      this.verdict.dataset.status = status;
      this.verdict.replaceChildren(make("pre", {}, ...lines.map((line) =>
        make("span", {className: line.startsWith("  ") ? "ck-more" : ""}, `${line}\n`))));
      this.printed.hidden = !printed;
      this.printed.replaceChildren(make("p", {}, "Printed"), make("pre",
        {textContent: printed, tabIndex: 0, role: "region", "aria-label": `Printed by your answer to ${this.name}`}));
      if (status !== "correct") return;
      this.note.textContent = "✓ solved";
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
      const done = await copied(this.editor.text());
      this.copier.focus(); // the old way of copying takes it
      this.say(done ? `Copied. In the notebook, paste it over the cell with "def ${this.function}".`
        : "This browser does not let a page copy. Mark the text in the editor and copy it.");
    }

    reset() {
      this.editor.replace(this.stub);
      this.say(`The stub is back. To have your answer again, press ${KEY}+Z in the editor.`);
    }
  }

  window.coursekitPanel = (offer) => (panels[offer.id] ??= new Panel(offer)).toggle();
})();
