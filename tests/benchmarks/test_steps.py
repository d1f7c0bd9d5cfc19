"""`benchmarks/steps.py`: it sees a real training process from outside, and ends it after enough steps."""

import json
import os
import subprocess
import sys
from pathlib import Path

STEPS = Path(__file__).parents[2] / "benchmarks" / "steps.py"


def test_steps_tokens_and_memory_of_a_training_process_are_seen(tiny_cache, tmp_path):
    pairs = [{"prompt": f"What is {n}?", "completion": f" It is {n}."} for n in range(12)]
    file = tmp_path / "pairs.jsonl"
    file.write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    done = subprocess.run(
        [sys.executable, STEPS, file, "5", '{"n_epochs": 50, "batch_size": 6}'],
        env=os.environ | {"OPENAI_LOCAL_CACHE": str(tiny_cache)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert 5 <= len(seen["ended"]) < 100 and seen["epoch_steps"] == 2
    assert 0 < seen["settled"] < seen["ended"][0] and seen["ended"] == sorted(seen["ended"])
    assert seen["tokens"] == sorted(set(seen["tokens"])) and seen["ended"][-1] < seen["over"]
    assert 50 < seen["peak_mb"] < 5000
