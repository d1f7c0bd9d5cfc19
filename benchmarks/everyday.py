"""What a base model answers to everyday questions, by itself: how likely a trained one still finds that.

The loss of these answers under a trained model, beside that under the base, says how much of its language was
lost. Each answer is the base's greedy one, in the form of its chat template. None of these questions is used in
training, and none is among the texts that training spares (`training.general_text`).
"""

from __future__ import annotations

from pathlib import Path

import torch

from openai_local.training.general_text import Lane, grow
from openai_local.training.network import Llama
from openai_local.training.tokenisation import Encoder, Example

ANSWER = 60
"""Tokens of an answer, at most."""
QUESTIONS = tuple(
    """\
What is the capital of France?
How do I boil an egg?
Why is the sky blue?
What should I pack for a weekend trip?
Can you explain how a bicycle works?
What is the difference between a cat and a dog?
How many days are in a leap year?
Give me three tips for sleeping better.
What does a teacher do?
How does rain form?
Write a short poem about autumn.
What is a good breakfast before a long walk?
Who wrote Romeo and Juliet?
How can I learn to play the guitar?
What are the primary colors?
Why do leaves change color?
How do I clean a wooden table?
What is the largest planet in the solar system?
Tell me a fact about whales.
How do I write a thank-you letter?
What is the boiling point of water?
How do airplanes stay in the air?
What are some healthy snacks?
Explain what a computer program is.
How can I save money on groceries?
What is the opposite of generous?
Describe a busy train station.
How do plants make food?
What is a good name for a small brown dog?
How do I change a flat tire?
Why do people keep diaries?
What is the purpose of a library?
How long does it take to walk five miles?
What can I cook with rice and beans?
How does a thermometer work?
Name four countries in South America.
What makes a good friend?
How do I keep a houseplant alive?
What happened during the Industrial Revolution?
How should I prepare for a job interview?""".splitlines()
)


def examples(weights: Path) -> list[Example]:
    """The questions with the base's answers, which count. `weights` is the base's folder (`Base.weights`)."""
    encoder = Encoder(weights)
    llama = Llama(weights, device=torch.device("cpu"), dtype=torch.float32)
    prompts = [encoder.tokens(_asked(encoder, question)) for question in QUESTIONS]
    lanes = [Lane([*encoder.start, *prompt], None, ANSWER) for prompt in prompts]
    starts = [len(lane.given) for lane in lanes]
    grow(llama, lanes, encoder.end, temperature=0.0)
    counts = [
        [place >= start for place in range(len(lane.tokens))] for start, lane in zip(starts, lanes, strict=True)
    ]
    return [Example(lane.tokens, own) for lane, own in zip(lanes, counts, strict=True)]


def _asked(encoder: Encoder, question: str) -> str:
    assert encoder.template is not None
    messages = [{"role": "user", "content": question}]
    return encoder.template.render(messages=messages, add_generation_prompt=True)
