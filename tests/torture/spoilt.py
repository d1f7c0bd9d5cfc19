"""Training files that somebody has spoilt: mostly valid lines, and a few things wrong.

A number makes the same file again. Seeded by hand rather than by hypothesis: ten thousand files take a minute, and
a number is all that one needs to see a file again.
"""

import io
import json
import random
import zipfile
from collections.abc import Callable
from html import escape

WORDS = "sun moon star what is the chief end of man naïve Ελλάδα 日本 🙂 100 3.14 -> ### END".split()
HOSTILE = [
    *("5", "null", "true", "[]", "{}", "-0", "1.5", "NaN", "Infinity", "-1e400", "1e999", "9" * 5000, '""', '" "'),
    *(
        '"\\ud83d"',
        '"\\udc00 half"',
        '"\\u0000"',
        '"\\u0007\\u001b[2J"',
        '"\\n\\n"',
        '"\\u2028"',
        '[{"a": [null]}]',
    ),
    *('"unclosed', "'single'", "undefined", "\x00", '"\x01"', '"\t"', '"\\x41"', "0x10", "01", "{" * 300),
]
"""Values, as they would stand in JSON, that are not what belongs there."""
DEPTHS = (50, 480, 900, 970, 980, 990, 1_000, 5_000, 100_000)


def text(chance: random.Random, most: int = 12) -> str:
    return " ".join(chance.choices(WORDS, k=chance.randint(1, most)))


def pair(chance: random.Random) -> dict:
    return {"prompt": text(chance) + "?", "completion": " " + text(chance)}


def chat(chance: random.Random) -> dict:
    messages = [{"role": "user", "content": text(chance)}, {"role": "assistant", "content": text(chance)}]
    messages *= chance.choice([1, 1, 1, 2])
    return {"messages": chance.choice([[], [{"role": "system", "content": "Be brief."}]]) + messages}


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


def _value(chance: random.Random, line: bytes) -> bytes:
    """One of the line's values, or one beside them, is another."""
    hostile = chance.choice([*HOSTILE, nested(chance.choice(DEPTHS)), json.dumps("x " * 40_000)])
    keys = ("prompt", "completion", "messages", "role", "content", "weight", "extra", "\\ud800", "x" * 3_000)
    key = chance.choice(keys)
    return line.strip().removesuffix(b"}") + f', "{key}": {hostile}}}'.encode()


def _message(chance: random.Random, line: bytes) -> bytes:
    """A message, or what should be one, is not what it should be."""
    hostile = chance.choice([*HOSTILE, nested(chance.choice(DEPTHS))])
    key, role = chance.choice(["role", "content", "weight", "name"]), chance.choice(["assistant", "robot", "tool"])
    odd = f'{{"role": "{role}", "content": "Yes.", "{key}": {hostile}}}'
    return f'{{"messages": [{chance.choice([odd, hostile])}, {odd}]}}'.encode()


def _bytes(chance: random.Random, line: bytes) -> bytes:
    """Some bytes are others."""
    place = chance.randint(0, len(line))
    put = chance.choice(
        [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\x00", b"\xef\xbb\xbf", b"\xf4\x90\x80\x80", b"\x85", b"\r"]
    )
    return line[:place] + put + line[place + chance.randint(0, 2) :]


LINES: list[Callable[[random.Random, bytes], bytes]] = [
    _value,
    _value,
    _message,
    _bytes,
    lambda chance, line: line[: chance.randint(0, len(line))],
    lambda chance, line: line * 2,
    lambda chance, line: line.replace(b'"', b"'"),
    lambda chance, line: line.replace(b":", b"", 1),
    lambda chance, line: line.replace(b'"completion"', b'"Completion"').replace(b'"role"', b'"Role"', 1),
    lambda chance, line: b"[" + line + b"]",
    lambda chance, line: line + b",",
    lambda chance, line: chance.choice([b"", b"  ", b"\xc2\xa0", b"\x0c", b"// nothing", b"null", b"{}", b"5"]),
    lambda chance, line: json.dumps(chance.choice([pair, chat])(chance)).encode(),
]
FILES: list[Callable[[random.Random, bytes], bytes]] = [
    lambda chance, content: b"\xef\xbb\xbf" + content,
    lambda chance, content: content.decode("utf-8", "replace").encode(
        chance.choice(["utf-16", "utf-16-be", "utf-32"])
    ),
    lambda chance, content: content.decode("utf-8", "replace").encode("cp1252", "replace"),
    lambda chance, content: content.replace(b"\n", chance.choice([b"\r\n", b"\r", b"\n\n"])),
    lambda chance, content: b"[" + content.strip().replace(b"\n", b",\n") + b"]",
    lambda chance, content: content.rstrip(b"\n"),
    lambda chance, content: content + bytes(chance.randint(1, 5_000)),
    lambda chance, content: bytes.fromhex("1f8b0800") + content,
    lambda chance, content: chance.randbytes(chance.randint(0, 300)),
]


def training_file(number: int) -> bytes:
    """A training file. One in ten is as it should be."""
    chance = random.Random(number)
    form = chance.choice([pair, chat])
    count = chance.choice([0, 1, 9, 10, 11, 12, 30])
    lines = [json.dumps(form(chance), ensure_ascii=chance.random() < 0.5).encode() for _ in range(count)]
    for _ in range(chance.choice([0, 1, 1, 1, 1, 2, 3]) if lines else 0):
        at = chance.randrange(len(lines))
        lines[at] = chance.choice(LINES)(chance, lines[at])
    content = b"".join(line + b"\n" for line in lines)
    return chance.choice(FILES)(chance, content) if chance.random() < 0.15 else content


def _cells(chance: random.Random) -> list[list[str]]:
    rows = [["prompt", "completion"], *([*pair(chance).values()] for _ in range(chance.choice([0, 1, 5, 12, 20])))]
    for _ in range(chance.choice([0, 1, 1, 2, 3])):
        row = chance.choice(rows)
        odd = [
            "",
            " ",
            "x" * 50_000,
            '"',
            "'",
            "a\nb",
            "\x00",
            "\x01\x1b[2J",
            "=1+1",
            "_x0000_",
            "\ufeff",
            "\r",
            "#N/A",
        ]
        change = chance.randrange(4)
        if change == 0:
            row.extend(chance.choices(["", "more"], k=chance.choice([1, 2, 900])))
        elif change == 1 and row:
            row.pop()
        elif row:
            row[chance.randrange(len(row))] = chance.choice(odd)
    return rows


def table_file(number: int, ending: str) -> bytes:
    """A file for ``prepare_data``: a table, a text, a page, or lines or a whole of JSON."""
    chance = random.Random(f"{ending} {number}")
    if ending in (".json", ".jsonl"):
        return training_file(number)
    rows = _cells(chance)
    if ending == ".xlsx":
        return _workbook(chance, rows)
    if ending == ".html":
        cells = "".join("<tr>" + "".join(f"<td>{escape(cell)}" for cell in row) for row in rows)
        content = chance.choice([f"<table>{cells}</table>", f"<table><tr><td><table>{cells}", cells]).encode()
    elif ending == ".txt":
        content = "\n".join(row[-1] if row else "" for row in rows).encode()
    else:
        quoted = chance.random() < 0.7
        sign = chance.choice([",", "\t", ";", "|"]) if chance.random() < 0.3 else {".tsv": "\t"}.get(ending, ",")
        quote = (lambda cell: '"' + cell.replace('"', '""') + '"') if quoted else (lambda cell: cell)
        content = "\n".join(sign.join(map(quote, row)) for row in rows).encode() + b"\n"
    if chance.random() < 0.3:
        content = _bytes(chance, content)
    return chance.choice(FILES)(chance, content) if chance.random() < 0.15 else content


def _workbook(chance: random.Random, rows: list[list[str]]) -> bytes:
    """An Excel file in its simplest form, with something wrong in it."""
    place = chance.choice(['r="A1"', 'r="XFD1048576"', 'r="ZZZ99999999"', "", 'r="é"', 'r="B0"'])
    cells = "".join(
        "<row>" + "".join(f'<c t="inlineStr"><is><t>{escape(_xml(cell))}</t></is></c>' for cell in row) + "</row>"
        for row in rows
    )
    odd = [
        f"<row><c {place}><v>1e999</v></c></row>",
        '<row r="0">',
        '<c t="s"><v>99999999</v></c>',
        "&nothing;",
        "",
    ]
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    sheet = f'<worksheet xmlns="{main}"><sheetData>{cells}{chance.choice([*odd, "", ""])}</sheetData></worksheet>'
    relations = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006/relationships"
    target = chance.choice(["worksheets/sheet1.xml"] * 6 + ["../../../../etc/passwd", "/etc/passwd"])
    members = {
        "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{relations}"><sheets><sheet name="S" sheetId="1" '
        'r:id="rId1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}"><Relationship Id="rId1" '
        f'Type="{relations}/worksheet" Target="{target}"/></Relationships>',
        "xl/worksheets/sheet1.xml": sheet,
    }
    if chance.random() < 0.1:
        members.pop(chance.choice([*members]))
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    content = bytearray(file.getvalue())
    for _ in range(chance.choice([0, 0, 0, 1, 3])):
        content[chance.randrange(len(content))] = chance.randrange(256)
    return bytes(content[: chance.choice([len(content)] * 6 + [chance.randrange(len(content))])])


def _xml(cell: str) -> str:
    return "".join(character for character in cell if character >= " " or character in "\n\t")
