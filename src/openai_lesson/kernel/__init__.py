"""The Jupyter kernel "OpenAI"."""
