// A reader's Python as MicroPython must be given it, from the syntax tree that the editor makes: what MicroPython
// does in its own way becomes a call of small_language.py. Lines stay where they are.
(() => {
  const CALLS = {"+": "add", "-": "sub", "*": "mul", "/": "truediv", "//": "floordiv", "%": "mod", "**": "pow",
    "@": "matmul", "&": "and", "|": "or", "^": "xor", "<<": "lshift", ">>": "rshift",
    "<": "lt", "<=": "le", ">": "gt", ">=": "ge", "==": "eq", "!=": "ne"};
  const ORDER = ["<", "<=", ">", ">=", "==", "!=", "in", "not in", "is", "is not"];
  const METHODS = ["sort", "format", "split", "center", "fromkeys"]; // MicroPython's differ
  const UNREADABLE = "a piece of its syntax is not in the page's Python";
  const GROUPS = {ArrayExpression: "list", TupleExpression: "tuple", SetExpression: "set"};

  class Translator {
    constructor(source) {
      Object.assign(this, {source, lacks: [], broken: false});
      this.tree = coursekitParse(source).topNode;
      this.tree.cursor().iterate((node) => {
        if (node.type.isError && !empty(node) || node.name === "PrintStatement") this.broken ||= {from: node.from};
      });
    }

    // The text of a node; `change` says how its children are written: emit by default.
    emit(node, change = (child) => this.emit(child)) {
      if (this[node.name] && !change.always) return this[node.name](node);
      return this.pieces(node, change);
    }

    // The children of a node and what stands between them. change(child, index): the text of a child.
    pieces(node, change) {
      let text = "", at = node.from, i = 0;
      for (let child = node.firstChild; child; child = child.nextSibling) {
        text += this.source.slice(at, child.from) + change(child, i++);
        at = child.to;
      }
      return text + this.source.slice(at, node.to);
    }

    inside(node) { return this.pieces(node, (child) => this.emit(child)); }

    raw(node) { return this.source.slice(node.from, node.to); }

    lack(node, what) {
      this.lacks.push({lack: what, line: this.source.slice(0, node.from).split("\n").length});
      return this.raw(node);
    }

    // What is assigned to: only what stands inside brackets is an expression.
    target(node) {
      if (node.name in GROUPS || node.name === "ParenthesizedExpression") {
        return this.pieces(node, (child) => this.target(child));
      }
      return node.name === "MemberExpression" ? this.inside(node) : this.emit(node);
    }

    BinaryExpression(node) {
      const [left, right] = [node.firstChild, node.lastChild], op = this.operator(node);
      if (ORDER.includes(op) && left.name === "BinaryExpression" && ORDER.includes(this.operator(left))) {
        return this.chain(node);
      }
      if (!CALLS[op]) return this.inside(node);
      return this.pieces(node, (child) => {
        if (child.name === "Comment") return this.raw(child);
        if (child.from === left.from) return `_${CALLS[op]}_(${this.emit(child)}`;
        return child.from === right.from ? `${this.emit(child)})` : ",";
      });
    }

    operator(node) {
      return children(node).slice(1, -1).map((child) => this.raw(child)).join(" ");
    }

    // a < b <= c: each is evaluated once, and none after a comparison that fails.
    chain(node) {
      const parts = [];
      let first = node;
      for (; first.name === "BinaryExpression" && ORDER.includes(this.operator(first)); first = first.firstChild) {
        parts.unshift([this.operator(first), first.lastChild]);
      }
      const rest = parts.map(([op, part], i) => `"${op}", ${i ? "lambda: " : ""}(${this.emit(part)})`);
      return this.lined(node, `_chain_(${this.emit(first)}, ${rest.join(", ")}`);
    }

    // A call without its last bracket, with as many lines as the node has.
    lined(node, text) {
      return text + "\n".repeat(this.raw(node).split("\n").length - text.split("\n").length) + ")";
    }

    // x *= y changes an array in place, and MicroPython asks no __imul__.
    UpdateStatement(node) {
      const [to, op, ...value] = children(node), sign = this.raw(op).slice(0, -1);
      const by = value.map((part) => this.emit(part)).join("");
      const gap = this.source.slice(to.to, value[0].from).replace(/[^\n\\]/g, " ");
      const more = value.length > 1 ? `(${by})` : by;
      if (to.name === "VariableName") return `${this.raw(to)} = _update_(${this.raw(to)}, "${sign}",${gap}${more})`;
      const [owner, sep, ...key] = children(to);
      if (to.name !== "MemberExpression") return this.inside(node);
      if (this.raw(sep) === ".") {
        return `_update_name_(${this.emit(owner)}, "${this.raw(key[0])}", "${sign}",${gap}${more})`;
      }
      return `_update_at_(${this.emit(owner)}, _slices_${this.subscript(to)}, "${sign}",${gap}${more})`;
    }

    // [key] of a subscript.
    subscript(node) {
      const open = children(node)[1];
      const text = this.inside(node), owner = this.emit(node.firstChild);
      return text.slice(owner.length + open.from - node.firstChild.to);
    }

    // owner.name, where MicroPython's method of that name differs.
    method(node) {
      const [owner, , name] = children(node);
      const gap = this.source.slice(owner.to, name.from).replace(/[^\n\\]/g, " ");
      return `_method_(${this.emit(owner)},${gap}"${this.raw(name)}")`;
    }

    MemberExpression(node) {
      const name = node.lastChild.name === "PropertyName" ? this.raw(node.lastChild) : "";
      if (name === "__dict__") return this.lack(node, "`.__dict__` is not in the page's Python");
      if (METHODS.includes(name)) return this.method(node);
      const colons = this.source.slice(node.firstChild.to, node.to).includes(":")
        && children(node).reduce(([most, now], {name}) =>
          name === "," ? [most, 0] : name === ":" ? [Math.max(most, now + 1), now + 1] : [most, now], [0, 0])[0];
      if (!colons || colons < 2) return this.inside(node);
      return `_get_(${this.emit(node.firstChild)}, _slices_${this.subscript(node)})`;
    }

    // [*a, b], {**a}: MicroPython knows no stars there.
    stars(node, kind, items) {
      let open = true;
      const text = items.map((child) => {
        const name = child.name;
        if (name === "*") { open = false; return "1, "; }
        if (name === ",") { open = true; return ","; }
        const flag = open ? "0, " : "";
        open = false;
        return flag + this.emit(child);
      });
      let out = "", at = items[0].from;
      items.forEach((child, i) => { out += this.source.slice(at, child.from) + text[i]; at = child.to; });
      return `_stars_(${kind}, ${out})`;
    }

    group(node) {
      const items = children(node).slice(1, -1);
      if (!items.some(({name}) => name === "*")) return this.inside(node);
      const first = this.source.slice(node.firstChild.to, items[0].from).replace(/[^\n]/g, "");
      const last = this.source.slice(items.at(-1).to, node.lastChild.from);
      return this.stars(node, `"${GROUPS[node.name]}"${first}`, items).slice(0, -1) + last + ")";
    }

    DictionaryExpression(node) {
      let starts = true;
      return this.pieces(node, (child) => {
        const name = child.name, first = starts && !["{", "}", ","].includes(name);
        if (first) starts = false;
        if (name === "{") return "_dict_of_(";
        if (name === "}") return ")";
        if (name === ",") { starts = true; return ","; }
        if (name === "**") return "_dict_of_, ";
        if (name === ":") return ",";
        return this.emit(child);
      });
    }

    DictionaryComprehensionExpression(node) {
      let colon = false, loop = false;
      return this.pieces(node, (child) => {
        if (child.name === "{") return "_pairs_([(";
        if (child.name === "}") return "])";
        if (child.name === ":" && !colon) { colon = true; return ","; }
        if (child.name === "for" && !loop) { loop = true; return ") for"; }
        return this.emit(child);
      });
    }

    AssignStatement(node) {
      const parts = children(node), last = parts.findLastIndex(({name}) => name === "AssignOp");
      const value = parts.slice(last + 1);
      if (last >= 0 && value.some(({name}) => name === "*")) {
        const head = parts.slice(0, last + 1).map((p) => this.target(p)).join(" ");
        return `${head} ${this.stars(node, '"tuple"', value)}`;
      }
      return this.pieces(node, (child, i) => i < last ? this.target(child) : this.emit(child));
    }

    ReturnStatement(node) {
      const value = children(node).slice(1);
      if (!value.some(({name}) => name === "*")) return this.inside(node);
      return `return ${this.stars(node, '"tuple"', value)}`;
    }

    loop(node) {
      let aim = false;
      return this.pieces(node, (child) => {
        if (child.name === "for") aim = true;
        if (child.name === "in") aim = false;
        return aim ? this.target(child) : this.emit(child);
      });
    }

    DeleteStatement(node) {
      const list = children(node).some((child) => child.name === "ArrayExpression" || this.raw(child) === "()");
      return list ? this.lack(node, UNREADABLE) : this.pieces(node, (child) => this.target(child));
    }

    TypeDef(node) { return this.raw(node); }

    CallExpression(node) {
      const [callee, given] = children(node);
      const keywords = children(given).some(({name: token}) => token === "AssignOp" || token === "**");
      if (callee.name === "MemberExpression" && this.raw(callee.lastChild) === "update" && !keywords) {
        return this.method(callee) + this.emit(given);
      }
      if (["str", "float", "int", "dict", "range", "slice"].includes(this.raw(callee)) && !keywords) {
        return `_${this.raw(callee)}_${this.emit(given)}`;
      }
      const kinds = /^\(\s*(str|int|float)\s*,/;
      if (this.raw(callee) === "map") return `map${this.emit(given).replace(kinds, "(_$1_,")}`;
      return this.inside(node);
    }

    // f(a, /, b): MicroPython knows no bar, and need not.
    ParamList(node) {
      if (children(node).some(({name}) => name === "**")) this.keywords(node);
      return this.inside(node).replace(/,(\s*)\/(\s*)(?=[,)])/, "$1$2");
    }

    // **kwargs come without their order: fine where they are only passed on.
    keywords(node) {
      const name = this.raw(children(node)[children(node).findIndex((child) => child.name === "**") + 1]);
      const body = this.source.slice(node.to, node.parent.to);
      const uses = body.split(new RegExp(`(?<![\\w.])${name}\\b`)).length - 1;
      if (uses !== body.split(new RegExp(`[(,]\\s*\\*\\*\\s*${name}\\b`)).length - 1) {
        this.lack(node, `the order of \`**${name}\` is not kept by the page's Python`);
      }
    }

    MatchStatement(node) { return this.lack(node, "`match` is not in the page's Python"); }

    ContinuedString(node) {
      if (!children(node).some(({name}) => name === "FormatString")) return this.raw(node);
      return `(${this.pieces(node, (child, i) => (i ? "+ " : "") + this.emit(child))})`;
    }

    // An f-string becomes a call that joins its texts and its values.
    FormatString(node) {
      const [, prefix, quote] = /^([a-zA-Z]*)('''|"""|'|")/.exec(this.raw(node));
      const start = prefix.replace(/f/i, "") + quote, parts = [];
      const text = (from, to) => {
        const piece = this.source.slice(from, to).replaceAll("{{", "{").replaceAll("}}", "}");
        if (piece) parts.push(start + piece + quote);
      };
      let at = node.from + prefix.length + quote.length;
      for (const child of children(node).filter(({name}) => name === "FormatReplacement")) {
        text(at, child.from);
        parts.push(...this.replacement(child, start, quote));
        at = child.to;
      }
      text(at, node.to - quote.length);
      return `_join_(${parts.join(", ")})`;
    }

    replacement(node, start, quote) {
      const find = (name) => children(node).find((child) => child.name === name);
      const [spec, shown, self] = ["FormatSpec", "FormatConversion", "FormatSelfDoc"].map(find);
      const end = self || shown || spec || node.lastChild;
      const inner = children(node).slice(1).filter((child) => child.from < end.from);
      const from = inner[0].from, to = inner.at(-1).to;
      let value = "", at = from;
      for (const child of inner) { value += this.source.slice(at, child.from) + this.emit(child); at = child.to; }
      if (inner.some(({name}) => name === ",")) value = `(${value})`;
      const how = shown ? this.raw(shown)[1] : self && !spec ? "r" : "";
      const format = spec ? this.format(spec, start, quote) : '""';
      const call = `_format_(${value}, "${how}", ${format})`;
      if (!self) return [call];
      const named = this.source.slice(node.from + 1, end.to)
        .replace(/["'\\\n]/g, (c) => c === "\n" ? " " : `\\${c}`);
      return [`"${named}"`, call];
    }

    format(spec, start, quote) {
      const parts = [];
      let at = spec.from + 1;
      const text = (from, to) => { if (to > from) parts.push(start + this.source.slice(from, to) + quote); };
      for (const child of children(spec).filter(({name}) => name === "FormatReplacement")) {
        text(at, child.from);
        parts.push(...this.replacement(child, start, quote));
        at = child.to;
      }
      text(at, spec.to);
      return `_join_(${parts.join(", ")})`;
    }
  }

  for (const name in GROUPS) Translator.prototype[name] = Translator.prototype.group;
  for (const name of ["For", "Comprehension", "ArrayComprehension", "SetComprehension"]) {
    Translator.prototype[name + (name === "For" ? "Statement" : "Expression")] = Translator.prototype.loop;
  }

  function children(node) {
    const found = [];
    for (let child = node.firstChild; child; child = child.nextSibling) {
      if (child.name !== "Comment") found.push(child);
    }
    return found;
  }

  // A bare `yield` has an empty node of an error after it.
  const empty = ({from, to, node}) => from === to && /^Yield/.test(node.parent?.name);

  // {text, lacks, broken}: broken where the source is no Python; then it is left as it is.
  function translated(source) {
    const translator = new Translator(coursekitTry.readable(source)), {broken} = translator;
    const reads = (text) => !new Translator(text).broken;
    const lacks = broken ? coursekitTry.unread(translator.source, broken.from, reads) : translator.lacks;
    return {text: broken ? source : translator.emit(translator.tree), lacks, broken: Boolean(broken)};
  }

  Object.assign(coursekitTry, {translated});
})();
