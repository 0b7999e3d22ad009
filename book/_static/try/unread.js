// Python that the editor's grammar does not read: what can be written in another way is; of the rest the page says
// that it cannot judge it. All else that the grammar does not read is no Python.
(() => {
  // 1. is a number of Python's, not of the editor's grammar; nor is `/` among the parameters of a lambda. Texts and
  // comments stay, but for {1.} of an f-string.
  const BARE = /(?<![\w.])(\d[\d_]*)\.(?:(?=(\.[a-z_]))|(?=((?:if|else|and|or|in|is|not|for)\b))|(?![\w.]))/gi;
  const TEXT = String.raw`(?<!\w)[a-zA-Z]{0,2}(?:"""[^]*?"""|'''[^]*?'''|"(?:\\[^]|[^"\\\n])*"`
    + String.raw`|'(?:\\[^]|[^'\\\n])*')|#.*`;
  const BAR = String.raw`,[ \t]*\/(?=\s*[,:])`;
  const SHORT = new RegExp(`${BARE.source}|${TEXT}|${BAR}`, "gi"), FIELD = /\{[^{}]*\}/g;
  const float = (all, digits, attribute, word) => attribute ? `(${digits}.0)` : `${digits}.0${word ? " " : ""}`;
  const whole = (all, digits, ...next) => digits ? float(all, digits, ...next) : all.startsWith(",") ? ""
    : /^\w*f/i.test(all) ? all.replace(FIELD, (part) => part.replace(BARE, float)) : all;
  // Python that the editor's grammar does not read, and a piece in its place that it does read.
  const PLACES = String.raw`(?:\([^()]*\)|\[[^[\]]*\]|[\w.]+(?:\[[^[\]]*\])*)`;
  const UNREAD = [
    [new RegExp(String.raw`(?<=^[ \t]*(?:async[ \t]+)?with\b[^:]*)\bas\s*${PLACES}`, "gm"), ""],
    [/(?<=\[)\s*\*(?!\*)|(?<=\[[^[\]()]*,\s*)\*(?!\*)/g, ""], // x[*a]
    [/(?<=\bin\b[^:\n]*)\*(?=\s*[\w([])/g, ""], // for x in *a, b
    [/(?<=\*\s*\w+\s*:\s*)\*/g, ""], // def f(*args: *T)
    [/(?<=[-+*/%@&|^<>]=[^=\n]*)\*(?!\*)/g, ""], // x += *a, b
    [/(?<=\{\s*)\w+\s*:=/g, ""],
    [/\bprint\b(?=\s*(?:(?:or|and|if|else|is|in|not|for)\b|[^\s"'\w]|$))/g, "f"],
    [/(?<=^[ \t]*(?:def|class|type)\s+\w+\[[^\]]*)=\s*[\w.]+/gm, ""], // def f[T = int]()
  ];
  const UNREADABLE = "a piece of its syntax is not in the page's Python";
  const MATCH = /^[ \t]*match\b[^\n]*:[ \t]*\n[ \t]+case\b/m;

  // The source, with numbers and lambdas as the grammar reads them.
  const readable = (source) => source.replace(SHORT, whole);

  // The source with pieces that the grammar reads in the place of those that it does not.
  function plainer(source, reads) {
    const kept = [];
    let text = source.replace(new RegExp(TEXT, "g"), (all) => all[0] === "#" ? "" : `"${kept.push(all) - 1}"`);
    text = text.replace(/^([ \t]*)@(.+)$/gm, (all, indent, what) => reads(`(${what})`) ? `${indent}@f` : all);
    for (const [pattern, plain] of UNREAD) text = text.replace(pattern, plain);
    return text.replace(/"(\d+)"/g, (_, i) => /^\w*f/i.test(kept[i]) ? kept[i].replace(/:=/g, ": =")
      : kept[i].replace(/^t/i, "f"));
  }

  // What the page cannot read of a source that may be Python all the same; nothing where it is surely none.
  function unread(source, at, reads) {
    const line = source.slice(0, at).split("\n").length;
    if (MATCH.test(source)) return [{lack: "`match` is not in the page's Python", line}];
    return reads(plainer(source, reads)) ? [{lack: UNREADABLE, line}] : [];
  }

  Object.assign(coursekitTry, {readable, unread});
})();
