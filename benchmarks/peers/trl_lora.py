"""What many people would do: LoRA with TRL's `SFTTrainer`. `training.py` runs it in its own environment.

    python trl_lora.py WEIGHTS DATA PRECISION EPOCHS ENOUGH     until ENOUGH of the training answers are right
    python trl_lora.py WEIGHTS DATA PRECISION --steps N         only N steps, to see how fast they are

PRECISION is ``fp32`` or ``bf16``. DATA is what `measure` says; the tokens are those that ours learns from. Prints
lines of JSON: when training begins, after the first step, and after each epoch what `measure_all` finds too.
Their ``seconds`` are those of training so far, measuring left out.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast, TrainerCallback
from trl import SFTConfig, SFTTrainer

from measure import Rows, load, measure_all

END = "<|im_end|>"


class Watch(TrainerCallback):
    """Tells how far it is."""

    def __init__(self, sets: dict[str, Rows] | None, enough: int) -> None:
        """Without `sets` nothing is measured but time."""
        self.sets, self.enough = sets, enough
        self.begun = self.measuring = 0.0

    def on_train_begin(self, _: Any, state: Any, *__: Any, **___: Any) -> None:
        """The clock starts here: what was loaded and imported before does not count."""
        self.begun = time.perf_counter()
        self.tell(state)

    def on_step_end(self, _: Any, state: Any, *__: Any, **___: Any) -> None:
        """Tell when the first step is done."""
        if state.global_step == 1:
            self.tell(state)

    def on_epoch_end(self, _: Any, state: Any, control: Any, model: Any = None, **__: Any) -> None:
        """Measure, with the clock stopped."""
        paused = time.perf_counter()
        found = measure_all(model, self.sets) if self.sets else {}
        if found:
            control.should_training_stop = found["training"]["exact"] >= self.enough
        self.measuring += time.perf_counter() - paused
        self.tell(state, **found)

    def tell(self, state: Any, **facts: Any) -> None:
        """Print a line."""
        seconds = time.perf_counter() - self.begun - self.measuring
        print(
            json.dumps({"epoch": round(state.epoch or 0), "step": state.global_step, "seconds": seconds} | facts),
            flush=True,
        )


def main() -> None:
    """Train."""
    weights, data, precision = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    steps = int(sys.argv[5]) if sys.argv[4] == "--steps" else -1
    epochs, enough = (1, 0) if steps > 0 else map(int, sys.argv[4:6])
    sets = load(data)
    arguments = SFTConfig(
        output_dir=str(data / "trl"),
        num_train_epochs=epochs,
        max_steps=steps,
        per_device_train_batch_size=8,
        learning_rate=1e-3,
        completion_only_loss=True,
        gradient_checkpointing=False,  # it saves memory and costs time
        bf16=precision == "bf16",
        use_cpu=not torch.cuda.is_available(),
        max_length=None,
        report_to=[],
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
    )
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(weights, dtype=torch.float32),
        args=arguments,
        train_dataset=Dataset.from_list(sets["training"]),
        processing_class=PreTrainedTokenizerFast(
            tokenizer_file=str(weights / "tokenizer.json"), eos_token=END, pad_token=END
        ),
        peft_config=LoraConfig(r=16, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM"),
        callbacks=[Watch(None if steps > 0 else sets, enough)],
    )
    trainer.train()


if __name__ == "__main__":
    main()
