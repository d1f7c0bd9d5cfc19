"""Base models, and what fine-tunes of them are made of: GGUF and Hugging Face files, adapters, exports.

Files come from anywhere, so each is looked at before it is believed. Whatever reads or checks one raises
`LocalError`, a sentence for people, if it can't be used; ``where`` names the file in that sentence.

Knows neither how a model is trained nor how it answers, neither HTTP nor the database.
"""
