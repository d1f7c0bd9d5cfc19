"""Files for every analysis of the tool of 2022, written into a folder: a name, and what is special about it."""

import csv
import json
import random
from pathlib import Path

import pandas as pd

from openai_lesson import catechism

PAIRS = [
    (f"What is thing {n}{'!' * (n % 2)}", f"Thing {n} is part {n * n} of the whole{'.' * (n % 2)}")
    for n in range(30)
]


def with_columns(rows, *names):
    return pd.DataFrame(rows, columns=list(names) or ["prompt", "completion"])


def both(prompt, completion, rows=PAIRS):
    return [(prompt(p), completion(c)) for p, c in rows]


def same(text):
    return text


TABLES = {
    "plain": PAIRS,
    "one-example": [*PAIRS[:1], ("b", "c")],
    "few": PAIRS[:3],
    "ten": PAIRS[:10],
    "a-question-mark": both(lambda p: p + "?", same),
    "arrow": both(lambda p: p + " ->", lambda c: " " + c + "\n"),
    "long-suffix": both(lambda p: p + " (please answer briefly)", lambda c: c + " -- end of the answer --"),
    "suffix-twice": both(lambda p: "a: " + p + ":", lambda c: "a; " + c + ";"),
    "newline-in-prompt": both(lambda p: p.replace(" ", "\n"), same),
    "arrow-inside": both(lambda p: "go -> " + p, same),
    "hashes-inside": both(lambda p: "x\n\n###\n\n" + p, same),
    "all-separators-inside": [
        (p + "".join([" ->", *(f"\n\n{s}\n\n" for s in ("###", "===", "---", "===>", "--->"))]) + str(n), c)
        for n, (p, c) in enumerate(PAIRS)
    ],
    "some-endings-inside": both(same, lambda c: c.replace(" is ", "\nis. ")),
    "all-endings-inside": [(p, c + "\n. END *** +++ &&& $$$ @@@ %%% " + str(n)) for n, (p, c) in enumerate(PAIRS)],
    "short-prompt-prefix": both(lambda p: "Q: " + p, same),
    "long-prompt-prefix": both(lambda p: "Answer the following question: " + p, same),
    "completion-prefix": both(same, lambda c: "Answer: " + c),
    "completion-prefix-with-space": both(same, lambda c: " The answer is " + c),
    "short-completion-prefix": both(same, lambda c: "A: " + c),
    "leading-spaces": both(same, lambda c: " " + c),
    "some-leading-spaces": [(p, " " * (n % 2) + c) for n, (p, c) in enumerate(PAIRS)],
    "upper-case-prompts": both(str.upper, same),
    "upper-case-completions": both(same, str.upper),
    "upper-case-umlauts": both(lambda p: "ÄÖÜÉ ΑΒΓ " + p, lambda c: "ÅÄÖ ЖЗИ ǅ ẞ 中文 " + c),
    "a-third-upper-case": [("AAAbbb" + str(n), "AAbbbb" + str(n)) for n in range(20)],
    "no-letters": [(str(n), str(n * n) + "!") for n in range(20)],
    "empty-completions": [*PAIRS, ("What?", ""), ("Who?", ""), ("Why?", "So.")],
    "empty-prompts": [("" if n % 3 else p, c) for n, (p, c) in enumerate(PAIRS)],
    "open-ended": both(lambda p: "", same),
    "open-ended-upper": both(lambda p: "", str.upper),
    "open-ended-long": [("", c + " word" * (3000 * (n == 7))) for n, (p, c) in enumerate(PAIRS)],
    "duplicates": PAIRS + PAIRS[3:8] + PAIRS[3:4],
    "almost-duplicates": PAIRS + both(str.lower, same),
    "same-question": PAIRS + [(p, c + " too") for p, c in PAIRS[:5]],
    "long": [(p + " word" * (3000 * (n in (4, 9))), c) for n, (p, c) in enumerate(PAIRS)],
    "long-and-classes": [
        (p + " word" * (3000 * (n == 9)), "yes" if n % 2 else "no") for n, (p, c) in enumerate(PAIRS)
    ],
    "two-classes": [(p, " yes" if n % 3 else " no") for n, (p, c) in enumerate(PAIRS)],
    "three-classes": [(p, ["red", "green", "blue"][n % 3]) for n, (p, c) in enumerate(PAIRS)],
    "upper-case-classes": [(p, ["RED", "GREEN", "BLUE"][n % 3]) for n, (p, c) in enumerate(PAIRS)],
    "classes-with-duplicates": [(p, ["red", "green"][n % 2]) for n, (p, c) in enumerate(PAIRS + PAIRS[:6])],
    "one-class": [(p, "yes") for p, c in PAIRS],
    "long-class-names": [(p, ["label: red", "label: green"][n % 2]) for n, (p, c) in enumerate(PAIRS)],
    "strange-signs": both(lambda p: p + ' "quoted" \\ / \t é 漢字 🎉 \u2028', lambda c: c + " </b> & \x7f \x01"),
    "lines-in-cells": both(lambda p: p + "\nsecond line", lambda c: c + "\r\nsecond, line"),
    "spaces-only": [*PAIRS, ("  ", "  "), (" x ", "\t")],
    "everything": [
        *both(lambda p: "PLEASE ANSWER THIS: " + p.upper(), lambda c: "ANSWER: " + c.upper()),
        ("PLEASE ANSWER THIS: X", ""),
        *both(lambda p: "PLEASE ANSWER THIS: " + p.upper(), lambda c: "ANSWER: " + c.upper(), PAIRS[:4]),
    ],
}


def random_table(seed):
    """A table with some of all these features."""
    chance = random.Random(seed)
    words = ["alpha", "Beta", "GAMMA", "delta.", "épsilon", "1", "->", "END", "\n", "###", "zeta/eta"]
    text = lambda most: " ".join(chance.choices(words, k=chance.randint(1, most)))  # noqa: E731
    start, end, first, last = (
        chance.choice(["", "", sign]) for sign in ("Tell me about: ", "?", " Well then, ", ".")
    )
    classes = [text(2) for _ in range(3)] if chance.random() < 0.3 else None
    rows = [
        (start + text(6) + end, first + (chance.choice(classes) if classes else text(9)) + last)
        for _ in range(chance.randint(12, 60))
    ]
    rows += chance.sample(rows, chance.choice([0, 0, 3]))
    rows += [(text(3), "")] * chance.choice([0, 0, 2])
    return rows


def write_all(folder: Path):
    """Write the files with which both tools agree. Returns their paths."""
    for name, rows in TABLES.items():
        with_columns(rows).to_csv(folder / f"{name}.csv", index=False)
    for seed in range(150):
        with_columns(random_table(seed)).to_csv(folder / f"random-{seed}.csv", index=False)
    catechism.load().to_csv(folder / "Westminster_Catechism.csv", index=False)
    catechism.load("larger").to_csv(folder / "larger.csv", index=False)
    _columns(folder)
    _formats(folder)
    return sorted(folder.iterdir())


def _columns(folder):
    with_columns(PAIRS, "Prompt", "COMPLETION").to_csv(folder / "upper-case-names.csv", index=False)
    extra = [(n, c, p, "x") for n, (p, c) in enumerate(PAIRS)]
    with_columns(extra, "id", "completion", "prompt", "prompt_id").to_csv(folder / "more-columns.csv", index=False)
    turned = [(c, p) for p, c in PAIRS]
    with_columns(turned, "completion", "prompt").to_csv(folder / "turned.csv", index=False)


def _formats(folder):
    frame, records = with_columns(PAIRS), [{"prompt": p, "completion": c} for p, c in PAIRS]
    frame.to_csv(folder / "tabs.tsv", sep="\t", index=False)
    frame.to_csv(folder / "windows-lines.csv", index=False, lineterminator="\r\n")
    frame.to_csv(folder / "all-quoted.csv", index=False, quoting=csv.QUOTE_ALL)
    (folder / "blank-lines.csv").write_text(
        frame.to_csv(index=False).replace("\n", "\n\n") + "\n", encoding="utf-8"
    )
    (folder / "mark.csv").write_text(frame.to_csv(index=False), encoding="utf-8-sig")
    frame.to_excel(folder / "sheet.xlsx", index=False)
    with pd.ExcelWriter(folder / "two-sheets.xlsx") as book:
        frame.to_excel(book, sheet_name="first", index=False)
        frame[:5].to_excel(book, sheet_name="second", index=False)
    numbers = with_columns([(n, n / 2) for n in range(20)] + [("x", 7), (5, "y")])
    numbers.to_excel(folder / "number-cells.xlsx", index=False)
    (folder / "text.txt").write_text("\n".join(c for _, c in PAIRS) + "\n", encoding="utf-8")
    (folder / "windows-text.txt").write_bytes("\r\n".join(c for _, c in PAIRS).encode())
    lines = "".join(json.dumps(record) + "\n" for record in records)
    (folder / "lines.jsonl").write_text(lines, encoding="utf-8")
    (folder / "lines-in.json").write_text(lines, encoding="utf-8")
    (folder / "array.json").write_text(json.dumps(records), encoding="utf-8")
    (folder / "array-in.jsonl").write_text(json.dumps(records), encoding="utf-8")
    (folder / "indented.json").write_text(json.dumps(records, indent=2, ensure_ascii=False), encoding="utf-8")
    numbers = [{"completion": n * n, "prompt": n} for n in range(20)]
    (folder / "numbers.jsonl").write_text("".join(json.dumps(n) + "\n" for n in numbers), encoding="utf-8")
    ready = [{"prompt": p + " ->", "completion": " " + c + "\n"} for p, c in PAIRS]
    (folder / "ready.jsonl").write_text("".join(json.dumps(r) + "\n" for r in ready), encoding="utf-8")


def write_faults(folder: Path):
    """Write files that the tool of 2022 breaks, or breaks down at. Returns what comes of each if all goes well."""
    good = [
        (f"{word} {n}?", f" {word[::-1]}, {n}.")
        for n, word in enumerate("What Who Why Where How When".split() * 3)
    ]
    expected = {}

    def add(name, write, rows):
        write(folder / name)
        expected[name] = rows

    words = [*good, ("Is there any?", " None."), ("What does NA mean?", "NA"), ("And null?", "null")]
    add("words-for-nothing.csv", lambda path: with_columns(words).to_csv(path, index=False), words)
    nothing = [{"prompt": p, "completion": c} for p, c in good] + [
        {"prompt": "Who?", "completion": None},
        {"prompt": "x"},
    ]
    add("null.jsonl", lambda path: path.write_text("".join(json.dumps(r) + "\n" for r in nothing)), good)
    accents = [(p, c + " café") for p, c in good]
    for name, encoding in (("cp1252.csv", "cp1252"), ("utf-16.csv", "utf-16")):
        add(name, lambda path, e=encoding: path.write_text(with_columns(accents).to_csv(index=False), e), accents)
    spread = [json.dumps({"prompt": p, "completion": c}, indent=2) for p, c in good]
    add("indented-objects.jsonl", lambda path: path.write_text("\n".join(spread)), good)
    add("semicolons.csv", lambda path: with_columns(good).to_csv(path, index=False, sep=";"), good)
    long = [("Empty?", ""), ("Long?", " word" * 3000 + "."), *good]
    add("long-after-empty.csv", lambda path: with_columns(long).to_csv(path, index=False), good)
    return expected
