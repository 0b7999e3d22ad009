// Errors of the page's MicroPython in the words of CPython, as coursekit.autograder.outcome.describe gives them.
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
    [/^format string didn't convert all arguments$/, "not all arguments converted during string formatting"],
    [/^object not in sequence$/, "the value is not in the sequence"],
  ];
  const ARITY = /^(?:(.+)\(\)|function) takes (\d+) positional arguments but (\d+) were given$/;

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
    if (type === "ImportError" && /^no module/i.test(text)) type = "ModuleNotFoundError";
    for (const [pattern, words] of WORDS) text = text.replace(pattern, words);
    text = arity(text, code).replaceAll("'ndarray'", "'numpy.ndarray'");
    return `${type}: ${text.slice(0, coursekitTry.parts.error)}${line ? ` (your line ${line})` : ""}`;
  }

  Object.assign(coursekitTry, {describe});
})();
