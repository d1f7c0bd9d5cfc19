"""OpenAI's fine-tuning API on your own machine.

A small web service that speaks the API of the official ``openai`` client: upload a file, start a fine-tuning
job, follow its events, ask the trained model. Training and answering are real: an open model is trained with
LoRA (`training`), and llama.cpp answers from it (`answering`). The web side (`service`) never imports torch.

Left out: accounts, billing, moderation, and everything of OpenAI's API that has no part in fine-tuning.
"""

__version__ = "0.1.0"
