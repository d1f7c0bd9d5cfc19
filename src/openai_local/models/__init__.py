"""Base models, and what fine-tunes of them are made of: GGUF and Hugging Face files, adapters, exports.

Knows neither how a model is trained nor how it answers, neither HTTP nor the database.
"""
