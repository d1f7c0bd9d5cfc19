"""Taking a fine-tune home: as GGUF for llama.cpp and Ollama, as a PEFT adapter, or merged with its base.

What is written is made of the very files that the service answers from: the GGUF adapter is read back, and the
base is the one that it was trained on. None of it needs torch.

`folder.export` writes any of the forms; `source.Source` says what it needs to know. `gguf`, `peft` and `merged`
fill the folder, `pretrained` writes the files that all of Hugging Face's loaders look for, and `card` the model
card.
"""
