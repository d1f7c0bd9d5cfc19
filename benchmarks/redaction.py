"""How long the kernel looks for secrets in a message: `python benchmarks/redaction.py`.

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

from openai_lesson import keys
from openai_lesson.kernel.outgoing import MaskingSession

REPEATS = 300


def median(session: Session, kind: str, content: dict[str, Any]) -> float:
    """The median time to make and send a message, in milliseconds."""
    times = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        session.send(None, session.msg(kind, content, parent={"header": {"msg_id": "1"}}))
        times.append(time.perf_counter() - begun)
    return statistics.median(times) * 1000


def main() -> None:
    """Measure and print."""
    os.environ["OPENAI_LESSON_CONFIG"] = tempfile.mkdtemp()
    for n in range(50):
        os.environ[f"SOMETHING_{n}" + ("_TOKEN" if n < 10 else "")] = f"{os.urandom(20).hex()}-{n}"
    for n in range(3):
        keys.save(f"host {n}", f"sk-local-{os.urandom(16).hex()}")
    table = pd.DataFrame({"prompt": ["What is sin?"] * 60, "completion": [" Sin is any want of conformity."] * 60})
    messages = {
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
        "a data frame": ("execute_result", {"data": {"text/html": table.to_html(), "text/plain": str(table)}}),
        "a picture of 200 kB": (
            "display_data",
            {"data": {"image/png": "iVBORw0KGgo" * 18_000, "text/plain": "<Figure>"}},
        ),
        "a widget's update": ("comm_msg", {"data": {"method": "update", "state": {"value": 3}}}),
    }
    print(f"{'message':<22}{'stock':>9}{'masking':>9}{'costs':>9}  (milliseconds)")
    stock, masking = Session(key=b"k"), MaskingSession(key=b"k")
    for name, (kind, content) in messages.items():
        plain, masked = median(stock, kind, content), median(masking, kind, content)
        print(f"{name:<22}{plain:>9.3f}{masked:>9.3f}{masked - plain:>9.3f}")


if __name__ == "__main__":
    main()
