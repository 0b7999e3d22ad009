// From what a worker tells to a verdict: coursekit.autograder.verdict.judge once more; tests hold the two together.
(() => {
  const SIGNS = {add: "+", sub: "-", mul: "*", truediv: "/", floordiv: "//", mod: "%", pow: "** or pow()", and: "&",
    or: "|", xor: "^", matmul: "@", lshift: "<<", rshift: ">>", lt: "<", le: "<=", gt: ">", ge: ">="};
  const UNARY = {neg: "-", pos: "+", invert: "~"};
  // How CPython says what MicroPython says.
  const WORDS = [
    [/^unsupported types for __(lt|le|gt|ge)__: (.*), (.*)$/, (_, op, a, b) =>
      `'${SIGNS[op]}' not supported between instances of ${a} and ${b}`],
    [/^unsupported types for __i?(\w+?)__: (.*), (.*)$/, (all, op, a, b) =>
      SIGNS[op] ? `unsupported operand type(s) for ${SIGNS[op]}: ${a} and ${b}` : all],
    [/^unsupported type for __hash__: (.*)$/, "unhashable type: $1"],
    [/^unsupported type for __abs__: (.*)$/, "bad operand type for abs(): $1"],
    [/^unsupported type for __(\w+)__: (.*)$/, (all, op, a) =>
      UNARY[op] ? `bad operand type for unary ${UNARY[op]}: ${a}` : all],
    [/^name '(.*)' isn't defined$/, "name '$1' is not defined"],
    [/^local variable referenced before assignment$/, "a local variable is read before it has a value"],
    [/^divide by zero$/, "division by zero"],
    [/^('.*' object) isn't (subscriptable|callable|iterable|an iterator)$/, "$1 is not $2"],
    [/^('.*' object) isn't an? (.*)$/, "$1 is not a $2"],
    [/^(list|tuple) indices must be integers, not (.*)$/, "$1 indices must be integers or slices, not $2"],
    [/^need more than (\d+) values to unpack$/, "not enough values to unpack (got $1)"],
    [/^arg is an empty sequence$/, "max() or min() of an empty sequence"],
    [/^can't convert float to int$/, "'float' object cannot be interpreted as an integer"],
    [/^('.*' object) doesn't support item (assignment|deletion)$/, "$1 does not support item $2"],
    [/^invalid syntax for integer with base (\d+): (.*)$/, "invalid literal for int() with base $1: $2"],
    [/^invalid syntax for number$/, "could not convert string to float"],
    [/^memory allocation failed.*$/, ""],
    [/^no module named (.*)$/, "No module named $1"],
    [/^can't import name (.*)$/, "cannot import name '$1'"],
    [/^object not in sequence$/, "the value is not in the sequence"],
    [/^only slices with step=1.*$/, "on the page only lists and arrays take a step: write list(x)[::-1]"],
    [/^\*x must be assignment target$/, "the page's small Python does not know [*a, *b]; write list(a) + list(b)"],
  ];
  const ARITY = /^(?:(.+)\(\)|function) takes (\d+) positional arguments but (\d+) were given$/;
  const FLOAT = /^'(float|int)' object has no attribute '(\w+)'$/;

  // The arguments of a call that does not fit: f(a, b) without b, or with one too many.
  function arity(text, code) {
    const [, name, takes, given] = ARITY.exec(text) || [];
    if (!takes) return text;
    const called = name || "the function";
    const parameters = new RegExp(`def\\s+${name}\\s*\\(([^()]*)\\)`).exec(code)?.[1].replace(/#.*/g, "").split(",")
      .map((p) => p.trim()).filter(Boolean) || [];
    const missing = parameters.slice(Number(given), Number(takes)).map((p) => `'${p.split(/[:=]/)[0].trim()}'`);
    if (Number(given) < Number(takes) && missing.length === takes - given) {
      const last = missing.pop(), comma = missing.length > 1 ? ", and " : " and ";
      return `${called}() missing ${takes - given} required positional argument${missing.length ? "s" : ""}: `
        + (missing.length ? missing.join(", ") + comma : "") + last;
    }
    return `${called}() takes ${takes} positional argument${takes === "1" ? "" : "s"} but ${given} `
      + `${given === "1" ? "was" : "were"} given`;
  }

  // An error in one line, as coursekit.autograder.outcome.describe gives it.
  function describe({type, text, line}, code) {
    if (type === "RuntimeError" && text.startsWith("maximum recursion depth")) type = "RecursionError";
    if (type === "NameError" && text.startsWith("local variable")) type = "UnboundLocalError";
    if (type === "ImportError" && text.startsWith("no module")) type = "ModuleNotFoundError";
    for (const [pattern, words] of WORDS) text = text.replace(pattern, words);
    const missing = FLOAT.exec(text);
    if (missing) text += `; on the page a number taken out of an array is a plain ${missing[1]}`;
    text = arity(text, code).replaceAll("'ndarray'", "'numpy.ndarray'");
    return `${type}: ${text.slice(0, 150)}${line ? ` (your line ${line})` : ""}`;
  }

  // value as {shape, data}, or null where it is not made of numbers: the `numbers` of verdict.py.
  function numbers(value, depth = 0) {
    if (value === null || depth > 9) return null;
    if (typeof value === "boolean") return {shape: [], data: [Number(value)]};
    const [kind, ...rest] = value;
    if (kind === "a") return {shape: rest[1], data: rest[2].map(Number)};
    if (kind === "i" || kind === "f") return {shape: [], data: [Number(rest[0])]};
    if (kind !== "l" && kind !== "t") return null;
    const rows = rest[0].map((inner) => numbers(inner, depth + 1));
    if (rows.some((row) => !row || String(row.shape) !== String(rows[0].shape))) return null;
    return {shape: [rows.length, ...(rows[0]?.shape ?? [])], data: rows.flatMap((row) => row.data)};
  }

  // The entries of a list, a tuple or an array, or null.
  function entries(value) {
    if (!Array.isArray(value)) return null;
    if (value[0] === "l" || value[0] === "t") return value[1];
    const {shape, data} = numbers(value) || {shape: []};
    if (!shape.length) return null;
    const [count, ...rest] = shape, size = data.length / count;
    return Array.from({length: count}, (_, i) => ["a", "f", rest, data.slice(i * size, (i + 1) * size)]);
  }

  function agree(got, expected, tolerance) {
    if (expected[0] === "s") return got?.[0] === "s" && got[1].trim().toLowerCase() === expected[1].toLowerCase();
    if (expected[0] === "t") {
      const parts = entries(got), wanted = expected[1];
      return parts?.length === wanted.length && parts.every((part, i) => agree(part, wanted[i], tolerance));
    }
    const mine = numbers(got), right = numbers(expected);
    if (!mine || String(mine.shape) !== String(right.shape)) return false;
    const largest = Math.max(1, ...right.data.filter(Number.isFinite).map(Math.abs));
    return right.data.every((e, i) => Number.isFinite(e)
      ? Number.isFinite(mine.data[i]) && Math.abs(mine.data[i] - e) <= tolerance * largest
      : Object.is(mine.data[i], e));
  }

  function failure(data, outcome, error) {
    const {inputs, shown, shape, value} = data;
    let [got, wanted] = error ? [error, shown[0]] : [outcome.shown[0], shown[0]];
    if (got === wanted) [got, wanted] = [outcome.shown[1], shown[1]];
    if (!error && outcome.value === null) got = "nothing: does the function return its result?";
    else if (!error && !(value[0] === "t" && outcome.value[0] === "l") && outcome.shape !== shape) {
      got += outcome.shape === null ? " (not a number)" : ` (shape ${outcome.shape}, expected ${shape ?? "None"})`;
    }
    return [`  with     ${inputs}`, `  got      ${got}`, `  expected ${wanted}`];
  }

  // outcomes: one for each case, {value, shown, shape} or an error {type, text, line, stub} or {late: seconds}.
  function judge(exercise, outcomes, code) {
    const {id, cases, tolerance, points} = exercise;
    const errors = outcomes.map((o) => o.late ? `no answer within ${o.late} s: does the loop end?`
      : o.type ? describe(o, code) : null);
    const right = outcomes.map((o, i) => errors[i] === null && agree(o.value, cases[i].value, tolerance));
    const passed = right.filter(Boolean).length, count = `${passed} of ${cases.length} cases`;
    const verdict = {status: "wrong", passed, cases: cases.length, misconception: null};
    if (outcomes.every((o) => o.stub)) {
      return {...verdict, status: "not attempted", lines: [`○ ${id}: not attempted`]};
    }
    if (passed === cases.length) {
      const line = `✓ ${id}: ${count}, ${points} point${points === 1 ? "" : "s"}`;
      return {...verdict, status: "correct", lines: [line]};
    }
    const known = errors.some((e) => e !== null) ? null : exercise.misconceptions.find(({values}) =>
      outcomes.every((o, i) => agree(o.value, values[i], tolerance)));
    const first = right.indexOf(false);
    const lines = [`✗ ${id}: ${count}; first failing: ${cases[first].label}`,
      ...failure(cases[first], outcomes[first], errors[first])];
    if (known) lines.push(`This is ${known.name}. ${known.look_at}`);
    return {...verdict, misconception: known?.name ?? null, lines};
  }

  Object.assign(coursekitTry, {judge, describe});
})();
