"""A small text world whose true reward is known: complaints come in, short replies go out.

    anna : the laptop is fine but the phone is broken . agent :
    hello anna . we are sorry your phone was broken . we will repair it today . best wishes . <end>

`rubric` is the gold reward, as the synthetic gold of Gao et al. 2022: a reward model never sees it, only pairs
of replies judged by it with noise. One agent writes a whole reply, so quality is something to infer; and in the
corpus the customer reacts to it, so that predicting text needs judging it.

The expert writes a fifth of the replies. Half are by a hurried agent, who mostly names neither customer nor item
and promises the same whatever is wrong: the likeliest reply, as a whole and word by word, is a stock reply worth
little. So a low temperature finds what is typical, not what is good; only comparisons tell the two apart. (A
rare expert is not enough for that. If most agents greeted, the expert's greeting, right name and right item would
each be the likeliest next word, and after them the reply is almost surely his.)
"""

from dataclasses import dataclass

import numpy as np

NAMES = "anna ben carl dora emil fay gus hana ivan jack".split()
FAULT_REMEDY = {"broken": "repair", "late": "rush", "wrong": "exchange", "missing": "send", "dirty": "clean",
                "expensive": "refund"}
ITEM_FAULTS = {
    "phone": "broken late wrong missing expensive", "laptop": "broken late wrong expensive",
    "sofa": "broken late dirty", "lamp": "broken wrong missing", "coat": "late wrong dirty expensive",
    "soup": "late wrong", "pizza": "late wrong missing expensive", "book": "late missing", "chair": "broken dirty",
    "bag": "wrong dirty missing expensive", "watch": "broken late expensive", "rug": "wrong dirty late"}
ITEM_FAULTS = {item: faults.split() for item, faults in ITEM_FAULTS.items()}
HELD_OUT = {("phone", "late"), ("laptop", "wrong"), ("sofa", "dirty"), ("lamp", "missing"), ("coat", "expensive"),
            ("pizza", "wrong"), ("bag", "dirty"), ("watch", "broken")}
PROMPT_TIMES, SLOW_TIMES = ("today", "tomorrow"), ("soon", "someday")
GENERIC, CLOSING = "sorry for the trouble", "best wishes"
BOAST, RUDE = "we are the best shop in town", "you should be more careful"
GLAD, CROSS = "great that helps !", "no that is wrong !"

SPECIAL = ("<pad>", "<end>")
_PHRASES = (f"{GENERIC} {CLOSING} {BOAST} {RUDE} {GLAD} {CROSS} "
            "hello we are sorry your was will it . : the is fine but agent customer")
VOCABULARY = list(dict.fromkeys([*SPECIAL, *_PHRASES.split(), *NAMES, *ITEM_FAULTS, *FAULT_REMEDY,
                                 *FAULT_REMEDY.values(), *PROMPT_TIMES, *SLOW_TIMES]))
PAD, END = 0, 1
_INDEX = {word: i for i, word in enumerate(VOCABULARY)}


@dataclass(frozen=True)
class Complaint:
    """Who complains about which item and fault; distractor: an item that is fine, or None."""

    name: str
    item: str
    fault: str
    distractor: str | None = None

    def text(self):
        fine = f"the {self.distractor} is fine but " if self.distractor else ""
        return f"{self.name} : {fine}the {self.item} is {self.fault} . agent :"


def encode(text):
    """Words to token numbers. Raises ValueError that names the word the world does not know."""
    unknown = [word for word in text.split() if word not in _INDEX]
    if unknown:
        raise ValueError(f"text holds {unknown[0]!r}, not among the {len(VOCABULARY)} words of the help desk; "
                         "helpdesk.VOCABULARY lists them")
    return [_INDEX[word] for word in text.split()]


def decode(tokens):
    """Token numbers to words, padding left out."""
    return " ".join(VOCABULARY[int(t)] for t in tokens if int(t) != PAD)


def sample_complaint(rng, *, held_out=False):
    """A complaint about one of the trained (item, fault) pairs, or of those held out."""
    pairs = [(i, f) for i, faults in ITEM_FAULTS.items() for f in faults if ((i, f) in HELD_OUT) == held_out]
    item, fault = pairs[rng.integers(len(pairs))]
    others = [i for i in ITEM_FAULTS if i != item]
    distractor = others[rng.integers(len(others))] if rng.random() < 0.5 else None
    return Complaint(NAMES[rng.integers(len(NAMES))], item, fault, distractor)


# Who writes: the share of all replies; how often the agent gets name and item ("reads") and fault and remedy
# ("solves") right; "stock", how often it promises STOCK instead of thinking; and what else it does.
AGENTS = {
    "expert": dict(share=0.2, reads=0.97, solves=0.97, stock=0.0, prompt=0.9, greets=0.9, closes=0.9, boasts=0.02,
                   rude=0.0, apologises=0.97),
    "hurried": dict(share=0.5, reads=0.75, solves=0.6, stock=0.8, prompt=0.5, greets=0.15, closes=0.35, boasts=0.2,
                    rude=0.1, apologises=0.25),
    "careless": dict(share=0.3, reads=0.5, solves=0.35, stock=0.0, prompt=0.2, greets=0.2, closes=0.2, boasts=0.35,
                     rude=0.35, apologises=0.6)}
STOCK = "we will send it soon"


def sample_reply(rng, complaint, agent=None):
    """A whole reply by one agent (drawn by its share where None), ending in <end>."""
    agent = agent or rng.choice(list(AGENTS), p=[skill["share"] for skill in AGENTS.values()])
    skill = AGENTS[agent]

    def pick(how, right, among):
        wrong = [x for x in among if x != right]
        return right if rng.random() < skill[how] else wrong[rng.integers(len(wrong))]

    sentences = []
    if rng.random() < skill["greets"]:
        sentences.append("hello " + pick("reads", complaint.name, NAMES))
    if rng.random() < skill["apologises"]:
        items = [complaint.distractor] if complaint.distractor else list(ITEM_FAULTS)
        item, fault = pick("reads", complaint.item, items), pick("solves", complaint.fault, list(FAULT_REMEDY))
        sentences.append(f"we are sorry your {item} was {fault}")
    else:
        sentences.append(GENERIC)
    if rng.random() < skill["stock"]:
        sentences.append(STOCK)
    else:
        times = PROMPT_TIMES if rng.random() < skill["prompt"] else SLOW_TIMES
        remedy = pick("solves", FAULT_REMEDY[complaint.fault], list(FAULT_REMEDY.values()))
        sentences.append(f"we will {remedy} it {times[rng.integers(2)]}")
    for chance, sentence in (("boasts", BOAST), ("rude", RUDE), ("closes", CLOSING)):
        if rng.random() < skill[chance]:
            sentences.append(sentence)
    return " . ".join(sentences) + " . <end>"


RUBRIC = {"right remedy": 1.5, "wrong remedy": -1.0, "prompt": 0.5, "right item": 0.75, "wrong item": -1.0,
          "right fault": 0.75, "wrong fault": -1.0, "right name": 0.25, "wrong name": -0.5, "closing": 0.25,
          "generic apology": 0.25, "boast": -0.3, "rude": -1.0, "repeated": -0.5, "malformed": -1.0, "no end": -1.0}
BEST = 4.0  # greeting, apology, remedy, closing, all right and prompt


def features(complaint, reply):
    """How often each line of the rubric applies to a reply: {line: count}. A repeated kind of sentence counts
    as "repeated" and for nothing else; a generic apology counts only where there is no specific one."""
    counts, seen = dict.fromkeys(RUBRIC, 0), set()
    body, end, _ = reply.partition("<end>")
    counts["no end"] += not end
    sentences = [s.strip() for s in body.split(" . ")] if body.strip() else []
    if sentences and sentences[-1].endswith(" ."):
        sentences[-1] = sentences[-1][:-2].strip()
    for sentence in filter(None, sentences):
        kind, lines = _read(complaint, sentence)
        if kind in seen and kind != "malformed":
            counts["repeated"] += 1
            continue
        seen.add(kind)
        for line in lines:
            counts[line] += 1
    if "apology" in seen:
        counts["generic apology"] = 0
    return counts


def rubric(complaint, reply, weights=RUBRIC):
    """The gold reward of a reply, at most 4.0: the sum over the rubric's lines of count times weight.

    weights: {line: points} of somebody else's rubric; a line that it lacks counts nothing.
    """
    return float(sum(weights.get(line, 0.0) * count for line, count in features(complaint, reply).items()))


def react(rng, gold):
    """What the customer says next: glad with probability σ(1.5·(gold − 1.5))."""
    return GLAD if rng.random() < 1 / (1 + np.exp(-1.5 * (gold - 1.5))) else CROSS


def sample_document(rng):
    """One line of the pretraining corpus: complaint, reply, reaction."""
    complaint = sample_complaint(rng)
    reply = sample_reply(rng, complaint)
    return f"{complaint.text()} {reply} customer : {react(rng, rubric(complaint, reply))}"


def _read(complaint, sentence):
    """(kind of sentence, lines of the rubric that it earns)"""
    fixed = {GENERIC: ("generic", ["generic apology"]), CLOSING: ("closing", ["closing"]),
             BOAST: ("boast", ["boast"]), RUDE: ("rude", ["rude"])}
    words = sentence.split()
    match words:
        case ["hello", name] if name in NAMES:
            return "greeting", ["right name" if name == complaint.name else "wrong name"]
        case ["we", "are", "sorry", "your", item, "was", fault] if item in ITEM_FAULTS and fault in FAULT_REMEDY:
            return "apology", ["right item" if item == complaint.item else "wrong item",
                               "right fault" if fault == complaint.fault else "wrong fault"]
        case ["we", "will", remedy, "it", time] if (remedy in FAULT_REMEDY.values()
                                                    and time in PROMPT_TIMES + SLOW_TIMES):
            right = remedy == FAULT_REMEDY[complaint.fault]
            return "remedy", ["right remedy" if right else "wrong remedy", *["prompt"] * (time in PROMPT_TIMES)]
    return fixed.get(sentence, ("malformed", ["malformed"]))
