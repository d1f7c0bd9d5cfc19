"""Reading a file of questions and answers, whatever it was saved as.

The file's ending says what it is. Encoding, delimiter, quotation marks and columns are found out; where something
had to be decided, the table's `notes` say so. Nothing is guessed in silence.
"""

from functools import partial
from pathlib import Path
from pkgutil import resolve_name

from openai_data.errors import LessonError
from openai_data.table import Table, choice_of

LONGEST = 1_000_000
"""Characters that one cell may have. A longer one is a quotation mark that was never closed."""
_READERS = {
    ".csv": "text_files.read_delimited",
    ".tsv": "text_files.read_delimited",
    ".xlsx": "spreadsheets.read_excel",
    ".txt": "text_files.read_lines",
    ".json": "json_files.read_json",
    ".jsonl": "json_files.read_json",
    ".html": "spreadsheets.read_page",
    ".htm": "spreadsheets.read_page",
}
"""What reads a file with such an ending. Only the module that is needed is loaded."""


def read(source: str | Path, *, prompt_column: str | None = None, completion_column: str | None = None) -> Table:
    """Read questions and answers.

    Args:
        source: a file (CSV, TSV, XLSX, JSON, JSONL, TXT, HTML), or the address of a web page with a table.
        prompt_column: the name or number of the column with the questions (nothing: found out).
        completion_column: the same for the answers.

    Returns:
        The table, as it is in the file; only rows without anything in them are left out.

    Raises:
        LessonError: it can't be read; the message says what is wrong, where, and what to do.
    """
    if "://" in str(source):
        from openai_data.downloading import download_table, is_url

        if is_url(str(source)):
            with download_table(str(source), _READERS) as path:
                return _read(path, prompt_column, completion_column)
    return _read(Path(source), prompt_column, completion_column)


def _read(path: Path, prompt: str | None, completion: str | None) -> Table:
    _check(path)
    choose = partial(choice_of, name=path.name, prompt=prompt, completion=completion)
    try:
        table = resolve_name(f"openai_data.{_READERS[path.suffix.lower()]}")(path, choose)
    except PermissionError:
        raise LessonError(f"{path} may not be read by you. Ask its owner, or copy it.") from None
    except UnicodeDecodeError as error:
        raise LessonError(f"{path} is damaged: byte {error.start:,} fits no {error.encoding} text.") from None
    except MemoryError:
        raise LessonError(f"{path} is too large for this machine's memory. Split it.") from None
    return checked(_without_blank(table))


def _check(path: Path) -> None:
    if path.is_dir():
        raise LessonError(f"{path} is a folder. Name the file in it:  -f {path / 'NAME.csv'}")
    if not path.exists():
        raise LessonError(
            f"There is no file {path} in {Path.cwd()}. The lesson's own is written by:  openai-lesson data"
        )
    if path.stat().st_size == 0:
        raise LessonError(f"{path} is empty. Was it saved?")
    if path.suffix.lower() not in _READERS:
        known = ", ".join(ending[1:].upper() for ending in _READERS)
        ending = f"ends with {path.suffix!r}" if path.suffix else "has no ending"
        raise LessonError(f"{path} {ending}, which says nothing of its format. These can be read: {known}.")


def checked(table: Table) -> Table:
    """The same table. Raises `LessonError` if it has no rows, or a cell that is far too long or has a NUL."""
    if not len(table):
        raise LessonError(f"{table.name} has no rows of data. Put a question and its answer into each row.")
    for texts in (table.prompts, table.completions):
        for number, text in zip(table.numbers, texts, strict=True):
            if len(text) > LONGEST:
                raise LessonError(
                    f"One cell in {table.unit} {number} of {table.name} has {len(text):,} characters. Most likely "
                    "a quotation mark before it is never closed."
                )
            if "\x00" in text:
                raise LessonError(
                    f"{table.unit.capitalize()} {number} of {table.name} has a NUL character. Delete it."
                )
    return table


def _without_blank(table: Table) -> Table:
    if "" not in table.completions:
        return table
    rows = zip(table.prompts, table.completions, strict=True)
    kept = table.keep([bool(prompt or completion) for prompt, completion in rows])
    left_out = len(table) - len(kept)
    if left_out and table.format != "TXT":  # where a blank line is no row
        kept.notes.append(f"Blank {table.unit}s were left out: {left_out}")
    return kept
