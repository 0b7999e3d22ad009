"""Short answers written at random from a grammar, in the functions and the syntax that people use.

    python tests/page_fuzz.py 5000 --seed 0    runs them on the page and here; prints what differs

Compared are status, count, the mistake's name and what was printed (numbers to 9 digits). Answers that the page
says it cannot judge are counted apart.
"""

import argparse
import collections
import random
import re
import sys
import tempfile
import warnings
from pathlib import Path

for folder in ("book/_ext", "book/_static/try", "tools"):
    sys.path.append(str(Path(__file__).parent.parent / folder))

import page_runs  # noqa: E402

ID = "start.advantage"
# {what it gives: ways to write it}. <a/b/c>: one of these; <list>: another rule. Ways stand three blanks apart.
RULES = {
    "array": r"""
(<array> <op> <array>)   (<array> <op> <number>)   (<number> <op> <array>)   (<array> ** 2)
(<array> // <number>)   <one>(<array>)   <two>(<array>, <array>)   <two>(<array>, <number>)
np.where(<mask>, <array>, <number>)   np.clip(<array>, -1, <number>)   <array>[::-1]   <array>.copy()
np.roll(<array>, 1)   np.diff(<array>, prepend=0)   (<mask> * <array>)
np.array([<number> + x for x in <array>])   np.full(len(<array>), <number>)   np.full_like(<array>, <number>)
np.append(<array>[1:], <number>)   np.concatenate([<array>[:1], <array>[1:]])   np.array(sorted(<array>))
np.array(<list>)   np.select([<mask>], [<array>], <number>)   (<array> - <array>.mean())
np.stack([<array>, <array>])[<0/1>]   np.vstack([<array>, <array>]).sum(axis=0)
np.stack([<array>, <array>], axis=1)[:, 0]   np.outer(<array>, <array>).sum(axis=<0/1>)
np.einsum('i,i->i', <array>, <array>)   (<mask>.astype(<int/float>) + <number>)
np.fromiter((x for x in <array>), float)   np.insert(<array>, 0, <number>)[1:]
np.vectorize(lambda x: x * 2.0)(<array>)   np.cumprod(<array>)
np.divide(<array>, <array>, out=np.zeros_like(<array> * 1.0), where=<array> != 0)
np.take(<array>, np.argsort(<array>, kind='stable'))   np.repeat(<array>, 2)[::2]   np.add.accumulate(<array>)
<array>[slice(<0/1>, None)]   np.maximum.reduce([<array>, <array>])   np.add.accumulate(<mask>)
np.array(list(dict.fromkeys(<list>)))
np.mean([<array>, <array>], axis=0)   np.array([x for x, k in zip(<array>, <mask>) if k] or [<number>])
""",
    "number": r"""
(<number> <op> <number>)   (<number> <op> <number>)   <array>[<0/-1/1>]   <reduced>   <reduced>
float(<number>)   int(<number>)   round(<number>, <0/1/2/3>)   round(<number>)   abs(<number>)   (<number>) ** 2
(<number> if <flag> else <number>)   (<array> @ <array>)   max(<number>, <number>)
min(<number>, <number>, key=lambda x: -x)   sum(<list>)   len(<list>)   sum(<dict>.values())
next(iter(<dict>))   sum(x > <number> for x in <array>)   float(<array>.mean())   divmod(<number>, <number>)[0]
pow(<number>, 2)   <mask>.sum()   -<number>   <array>[0] / <number>   np.float64(<number>)
np.int64(2) * <number>   (<flag>) * <number>   sum(<list>, start=<number>)   math.sqrt(abs(<number>))
<array>.item(0)   [<number>, <number>][<flag> is True]   (lambda x, k=1: x + k)(<number>)
""",
    "reduced": r"""
np.sum(<array>)   np.mean(<array>)   <array>.max()   <array>.min()   <array>.sum()   np.prod(<array>)
<array>.std()   np.var(<array>, ddof=1)   np.median(<array>)   sum(<array>)   max(<array>)   min(<array>)
np.argmax(<array>)   len(<array>)   <array>.argmin()   <array>.size   np.ptp(<array>)   np.linalg.norm(<array>)
st.mean(<array>)   st.median(<array>)   reduce(op.add, <array>)   math.fsum(<array>)   np.add.reduce(<array>)
np.average(<array>, weights=policy)   np.count_nonzero(<array>)   st.pstdev(<array>)
np.percentile(<array>, 30)   np.add.reduce(<mask>)   <ufunc>.reduce(<array>, where=<mask>, initial=<number>)
np.<sum/prod>(<array>, where=<mask>)   <array>.mean(where=<mask>)   np.<std/var>(<array>, where=<mask>)
np.max(<array>, where=<mask>, initial=<number>)   np.<any/all>(<array>, where=<mask>)
st.fmean(x for x in <list>)   np.clip(<number>, 0., 2.).item()
""",
    "mask": r"""
(<array> <sign> <number>)   (<number> <sign> <array>)   (<array> <sign> <array>)   (~<mask>)
(<mask> <bit> <mask>)   (<True/False> <bit> <mask>)   (<mask> <bit> <True/False>)   np.isnan(<array>)
np.logical_not(<mask>)   np.isclose(<array>, <array>)   (np.arange(len(<array>)) == <number>)
np.array([bool(x) for x in <mask>])   np.logical_and(<mask>, <array> > 0)
""",
    "flag": r"""
(<number> <sign> <number>)   (<number> <sign> <number> <order> <number>)   <mask>[0]   <mask>.any()
(not <flag>)   (<flag> <logic> <flag>)   isinstance(<number>, <float/int/(int, float)/np.floating>)
(<number> in <list>)   bool(<flag>)   all(<mask>)   any(x > 1 for x in <array>)   np.all(<mask>)   (~<flag>)
np.allclose(<array>, <number>)   bool(<number>)   (<flag>) is True   (2 in <dict>)
""",
    "list": r"""
[<number>, <number>]   [*<list>, <number>]   [<number>, *<list>, *<list>]   sorted(<list>)
sorted(<list>, key=lambda x: x % 2)   sorted(<list>, reverse=True)   (<list> + <list>)   <list>[::-1]
[x * 2 for x in <list> if x > <number>]   list(<array>)   list(accumulate(<list>))
list(accumulate(<list>, initial=<number>))   [a + b for a, b in zip(<list>, <list>)]
[a - b for a, b in pairwise(<list>)]   list(map(float, <list>))   [b for _, b in enumerate(<list>, 1)]
list(chain(<list>, [<number>]))   [max(g) for _, g in groupby(<list>, key=lambda x: x > 1)]
list(<dict>.values())   <list>[:2]   [n for n, c in Counter(<list>).items()]
[a or b for a, b in zip_longest(<list>, <list>, fillvalue=<number>)]   list(reversed(<list>))
(lambda *r: list(r))(*<list>, <number>)   [<number>] * 2   list(islice(<list>, 2))
list(takewhile(lambda x: x < <number>, <list>))   [list(p)[0] for p in product(<list>, [1, 2])]
list(dict.fromkeys(<list>))   [b for _, b in sorted(zip(<list>, <list>))]   heapq.nsmallest(2, <list>)
[sum(q for _, q in g) for _, g in groupby(sorted(zip(<array>, <list>)), key=lambda t: t[0])]
list(max(zip(<array>, <array>)))   list(reversed(<dict>))
[b for _, b in (Counter(<list>) + Counter(<list>)).items()]
list(filter(None, <list>))   [x if x > 0 else -x for x in <list>]
""",
    "dict": r"""
{**<dict>, 'c': <number>}   {'y': <number>, **<dict>}   {k: v * 2 for k, v in <dict>.items()}
{i: x for i, x in enumerate(<list>)}   dict(zip('zab', <list>))   (<dict> | {'q': <number>})
dict.fromkeys(<list>, <number>)   dict.fromkeys('zebra')   (<dict> | dict.fromkeys('zy', 1.))   <dict>.copy()
dict(Counter(<list>))   {x: i for i, x in enumerate('cab')}   {k: len(list(g)) for k, g in groupby('zzab')}
dict(defaultdict(int, <dict>))
""",
    "shown": r"""
f"{<number>} {<flag>}"   f"{float(<number>):.3f} {<number>!r}|{len(<array>):>4}"
'%.2f %s' % (<number>, <flag>)   '{} {:.2f}'.format(<flag>, float(<number>))   str(<list>)   repr(<number>)
', '.join(str(x) for x in <list>)   (*<list>, <number>)   type(<number>).__name__
re.<findall/split/fullmatch/search>(r'<pattern>', 'we will send it 12 times today')
re.sub(r'<pattern>', lambda m: m[0] * 2, 'ab 12 abba')   [m.span() for m in re.finditer(r'<pattern>', 'ab 12 abba')]
""",
}

SMALL = {
    "one": "np.exp np.abs np.sign np.cumsum np.sort np.square np.negative np.floor np.tanh np.nan_to_num np.flip "
           "np.array np.round np.zeros_like np.copy - abs np.maximum.accumulate",
    "two": "np.maximum np.minimum np.add np.multiply np.subtract np.hypot np.fmax np.divide", "op": "+ - * / // %",
    "sign": "< <= > >= == !=", "order": "< <= >", "bit": "& | ^", "logic": "and or & | ^",
    "ufunc": "np.add np.multiply np.maximum np.minimum np.logical_or",
    "pattern": r"\d+ \w+ (\w)\1 (?:a|b)+ (?P<x>a|1)\d? \b\w{2} [^a-m\s]+ (\w+)\s(?=12|to) .*? \s* (?!a)\w$",
    "literal": "0 1 2 1. -1 3 0.5 -1.5 0.1 2.0 10 1e-3", "update": "+ - * / // %"}
LEAVES = {"array": ["q_values", "policy"], "number": SMALL["literal"].split(), "mask": ["(q_values > 2)"],
          "list": ["[1, 2.5]", "list(q_values)", "[3, 1, 2]", "q_values.tolist()"],
          "dict": ["{'b': 1, 'a': 2}", "dict(z=0.5, k=1)", "{2: 1.5, 1: 3}"],
          "flag": ["True", "False", "(q_values > 1)[0]"]}
RIGHT = ("q_values - policy @ q_values", "[q - sum(policy * q_values) for q in q_values]",
         "q_values - np.average(q_values, weights=policy)")
LOOPS = ("for x in <array>:", "for i, x in enumerate(<list>):", "for t in reversed(range(2)):",
         "for x, y in zip(<array>, <list>):", "for x, y in <dict>.items():")


class Writer:
    """Writes one answer."""

    def __init__(self, seed):
        self.draw, self.count = random.Random(seed), 0
        self.names = {kind: [] for kind in LEAVES}

    def pick(self, options):
        return self.draw.choice(options)

    def expr(self, kind, depth=2):
        if kind in LEAVES and (depth <= 0 or self.draw.random() < 0.15):
            own = self.names[kind]
            return self.pick(own if own and self.draw.random() < 0.8 else LEAVES[kind])
        return self.filled(self.pick(re.split(r" {3}|\n", RULES[kind].strip())), depth - 1)

    def filled(self, rule, depth=1):
        """The rule with everything in <> written out."""
        def one(match):
            what = match[1]
            if what in SMALL:
                return self.pick(SMALL[what].split())
            return self.expr(what, depth + (what == "reduced")) if what in RULES else self.pick(what.split("/"))
        return re.sub(r"<(\w[^<>]*)>", one, rule)

    def named(self, kind):
        self.count += 1
        self.names[kind].append(f"{kind[0]}{self.count}")
        return self.names[kind][-1]

    def lines(self, inside=False):
        """The lines of one statement."""
        kinds = "set set print print update place dict list unpack helper while rows gaps at".split()
        return getattr(self, "write_" + self.pick(kinds if inside else [*kinds, "block", "block", "block"]))()

    def write_set(self):
        kind = self.pick(["array", "number", "list", "mask", "flag"])
        value = self.expr(kind)
        return [f"{self.named(kind)} = {value}"]

    def write_print(self):
        kinds = ["array", "number", "number", "list", "dict", "mask", "flag", "shown"]
        return [f"print({', '.join(self.expr(self.pick(kinds), 2) for _ in range(self.draw.randint(1, 2)))})"]

    def write_update(self):
        own = self.names["array"] + self.names["number"] + self.names["list"]
        name = self.pick(own) if own else None
        if not name:
            return self.write_set()
        return [self.filled(f"{name} += <list>" if name[0] == "l" else f"{name} <update>= <number>")]

    def write_place(self):
        if not self.names["array"]:
            return self.write_set()
        where = self.pick(["0", "-1", "1:", "::-1", self.expr("mask", 1)])
        op = self.pick(["", "+", "*", "-", "/"])
        return [f"{self.pick(self.names['array'])}[{where}] {op}= {self.expr('number', 1)}"]

    def write_dict(self):
        value = self.expr("dict")
        name = self.named("dict")
        place = self.filled(f"{name}['w'] = <number>")
        return [f"{name} = {value}", place, f"{name}['w'] *= 2", f"print({name})"]

    def write_list(self):
        value = self.expr("list")
        name = self.named("list")
        change = self.pick(["append(<number>)", "sort(key=lambda x: -x)", "sort()", "extend([1, 2])", "pop()"])
        return [f"{name} = {value}", f"{name}.{self.filled(change)}"]

    def write_unpack(self):
        value = self.expr("list", 1)
        return [f"{self.named('number')}, *{self.named('list')} = {value}"]

    def write_rows(self):
        change = self.filled("    row <update>= <number>")
        return ["m = np.stack([q_values, policy])", "for row in m:", change, "print(m)"]

    def write_gaps(self):
        """Numbers with NaN among them, which a mask hides."""
        value, mask = self.expr("array"), self.expr("mask", 1)
        call = self.filled(self.pick([
            "np.<sum/prod/mean/std/var/any/all>(g, where=~np.isnan(g))", "g.<mean/std>(where=g == g, keepdims=1)",
            "np.<min/max>(g, where=g == g, initial=<literal>)", "np.<std/var>(g, where=g == g, ddof=1)",
            "np.add.reduce(g, where=g == g)", "np.multiply(g, 2.0, out=np.zeros(len(g)), where=g == g)"]))
        return [f"g = np.where({mask}, {value}, np.nan)", f"print({call})"]

    def write_at(self):
        """The method `at` of a function of arrays, which goes wherever an index can."""
        index = self.pick(["[0, 1, 0]", "1", "([0, 1], [1, 1])", "(0, [2, 2])", "t > 0", "(slice(None), 0)",
                           "[True, False]"])
        call = self.filled("np.<add/subtract/multiply/maximum>.at(t, INDEX, <number>)").replace("INDEX", index)
        return ["t = np.arange(6.0).reshape(2, 3)", call, "np.fill_diagonal(t, -1)", "print(t)"]

    def write_helper(self):
        line = self.filled("    return x if n == 0 else helper(x * 0.5 + <literal>, n - 1)")
        return ["def helper(x, n=2):", line, f"{self.named('number')} = helper({self.expr('number', 1)}, n=3)"]

    def write_while(self):
        return ["k = 0", "while k < 3:", "    k += 1", f"    if {self.expr('flag', 1)}:",
                f"        {self.pick(['break', 'continue', 'print(k)'])}", "else:", "    print('end', k)"]

    def write_block(self):
        head = self.pick([self.filled(self.pick(LOOPS)), f"if {self.expr('flag')}:", "try:"])
        held = {kind: list(own) for kind, own in self.names.items()}
        inside = [f"    {line}" for line in self.lines(inside=True)]
        self.names = held  # what is set inside may not be set
        if head == "try:":
            kind = self.pick(["Exception", "ZeroDivisionError", "(TypeError, ValueError)"])
            inside += [f"except {kind}:", "    print('no')"]
        return [head, *inside]

    def answer(self):
        lines = [line for _ in range(self.draw.randint(1, 5)) for line in self.lines()]
        right = self.pick(RIGHT)
        result = self.filled(self.pick([right, right, f"({right}) * <number>", f"np.array({right}) + <array>",
                                        "<array>", "<list>", "<number>"]), 2)
        return HEAD + "def advantage(q_values, policy):\n" + "".join(
            f"    {line}\n" for line in [*lines, f"return {result}"])


HEAD = """import heapq
import math
import operator as op
import re
import statistics as st
from collections import Counter, defaultdict
from functools import reduce
from itertools import accumulate, chain, groupby, islice, pairwise, product, takewhile, zip_longest
"""


def written(count, seed=0):
    """Answers that are Python: what people could have typed."""
    found = (Writer(f"{seed}.{k}").answer() for k in range(10 * count))
    for code in found:
        with warnings.catch_warnings(action="error"):
            try:
                compile(code, "answer", "exec")
            except (SyntaxError, SyntaxWarning):
                continue
        yield code
        count -= 1
        if not count:
            return


def compared(page, codes):
    """For each code (what it came to, what differs or None)."""
    for code, told in zip(codes, page.evaluate(page_runs.KEPT, [dict(code=code, id=ID) for code in codes])):
        verdict, printed = page_runs.by_python(ID, code)
        mine = page_runs.outcome_of(verdict)
        if told.get("lack"):
            yield (mine[0], told["lack"]), None
            continue
        came = page_runs.outcome_of(told["verdict"]) if told.get("verdict") else ("error", 0, None)
        fits = mine == came and page_runs.same_text(told["printed"], printed)
        seen = code[len(HEAD):], getattr(verdict, "lines", verdict), printed, told.get("verdict") or told
        yield (mine[0], "same" if fits else "different"), None if fits else (*seen, told["printed"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", default="0")
    options = parser.parse_args()
    from browser import chromium

    tally = collections.Counter()
    with tempfile.TemporaryDirectory() as folder, chromium() as context:
        page = context.new_page()
        page.set_default_timeout(0)
        page.goto(page_runs.build(Path(folder)))
        page.evaluate("coursekitTry.warm()")
        codes = list(written(options.count, options.seed))
        for k in range(0, len(codes), 25):
            for kind, different in compared(page, codes[k:k + 25]):
                tally[kind] += 1
                if different:
                    print("\n".join(map(str, different)), "\n" + "-" * 40, flush=True)
    for kind, count in tally.most_common():
        print(count, *kind)
    return sum(n for (_, how), n in tally.items() if how == "different")


if __name__ == "__main__":
    sys.exit(bool(main()))
