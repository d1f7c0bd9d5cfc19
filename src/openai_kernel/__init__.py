"""The Jupyter kernel "OpenAI"."""

from openai_kernel.extension import load as load_ipython_extension

__all__ = ["load_ipython_extension"]
