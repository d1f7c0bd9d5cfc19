"""The kernel that looks for secrets, next to the stock one: milliseconds for a message.

    .venv/bin/python benchmarks/redaction.py

With fifty environment variables, ten of them secret, and three keys in the lesson's file. Prints the median in
milliseconds for messages of several kinds, and what the message costs besides (making it and packing it as JSON).
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from typing import Any

import pandas as pd
from jupyter_client.session import Session

from machine import spread, table
from openai_command.redaction import Secrets
from openai_kernel.masking import MaskedSend
from openai_lesson import keys

REPEATS = 100
TURNS = 3


def times(session: Session, kind: str, content: dict[str, Any]) -> float:
    """Milliseconds to make and send a message, the median of many."""
    found = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        session.send(None, session.msg(kind, content, parent={"header": {"msg_id": "1"}}))
        found.append(time.perf_counter() - begun)
    return statistics.median(found) * 1000


def main() -> None:
    """Measure and print."""
    os.environ["OPENAI_LESSON_CONFIG"] = tempfile.mkdtemp()
    for n in range(50):
        os.environ[f"SOMETHING_{n}" + ("_TOKEN" if n < 10 else "")] = f"{os.urandom(20).hex()}-{n}"
    for n in range(3):
        keys.save(f"host {n}", f"sk-local-{os.urandom(16).hex()}")
    frame = pd.DataFrame({"prompt": ["What is sin?"] * 60, "completion": [" Sin is any want of conformity."] * 60})
    messages: dict[str, tuple[str, dict[str, Any]]] = {
        "a line": ("stream", {"name": "stdout", "text": "step 5/286  loss 0.0132\n"}),
        "a progress bar": (
            "stream",
            {"name": "stderr", "text": "\r 50%|█████     | 5/10 [00:05<00:05,  9.87it/s]"},
        ),
        "a log of 20 kB": ("stream", {"name": "stdout", "text": "12:00:01 step 5/286 training loss=0.5\n" * 530}),
        "a log of 500 kB": (
            "stream",
            {"name": "stdout", "text": "12:00:01 step 5/286 training loss=0.5\n" * 13_000},
        ),
        "a data frame": ("execute_result", {"data": {"text/html": frame.to_html(), "text/plain": str(frame)}}),
        "a picture of 200 kB": (
            "display_data",
            {"data": {"image/png": "iVBORw0KGgo" * 18_000, "text/plain": "<Figure>"}},
        ),
        "a widget's update": ("comm_msg", {"data": {"method": "update", "state": {"value": 3}}}),
    }
    rows, stock, masking = [], Session(key=b"k"), Session(key=b"k")
    masking.send = MaskedSend(masking, Secrets())  # type: ignore[method-assign]
    for name, (kind, content) in messages.items():
        turns = [(times(stock, kind, content), times(masking, kind, content)) for _ in range(TURNS)]
        plain, masked = ([turn[place] for turn in turns] for place in (0, 1))
        costs = [after - before for before, after in turns]
        rows.append([name, *(spread(values, 3) for values in (plain, masked, costs))])
    print(table(["message", "stock", "looking for secrets", "costs"], rows))


if __name__ == "__main__":
    main()
