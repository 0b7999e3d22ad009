// An answer as this tab has it: its text, and the versions in whose place another tab, a reset or a loaded file has
// put one. Nothing is lost in silence: a version stays until the reader discards it.
window.CoursekitAnswer = class {
  constructor(id, stub) {
    Object.assign(this, {id, stub, failure: unkept()}); // failure: "", or why nothing is kept
    const {answer, others} = this.kept();
    this.text = this.known = answer; // what the editor holds; what is kept, as far as this tab knows
    this.others = others;
  }

  kept() {
    const {answer, others} = kept(this.id);
    return {answer: answer ?? this.stub, others};
  }

  // The text, unless it is the stub, which is no answer.
  written() {
    return this.text === this.stub ? undefined : this.text;
  }

  // Keeps a text. What another tab has written since is not replaced: it becomes a version. versions: all of them.
  keep(text, changes, versions) {
    const {answer, others} = this.kept(), aside = new Set(versions ?? (this.failure ? this.others : others));
    if (!versions) {
      if (answer !== this.known) aside.add(answer);
      aside.delete(this.text); // which the reader has edited
    }
    for (const none of [text, this.stub]) aside.delete(none);
    this.text = text;
    this.others = [...aside];
    this.failure = keep(this.id, {answer: this.written(), others: this.others, ...changes});
    if (!this.failure) this.known = text;
  }

  // All but the text itself: the other tab's first.
  versions() {
    const {answer, others} = this.kept();
    const all = [...(answer === this.known ? [] : [answer]), ...(this.failure ? this.others : others)];
    return all.filter((version) => version !== this.text);
  }

  // The version to choose or to discard, if any, and where it comes from: "reset", "erased", "tab" or "kept".
  rival() {
    const versions = this.versions(), {answer} = this.kept(), news = answer !== this.known;
    const rival = !news && versions.includes(this.before) ? this.before : versions[0];
    if (news && answer === rival) return {rival, from: answer === this.stub ? "erased" : "tab"};
    return {rival, from: this.text === this.stub && rival === this.before ? "reset" : "kept"};
  }
};
