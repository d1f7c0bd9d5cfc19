"""The kernel "OpenAI": IPython's own, with a session that hides secrets and with the lesson's additions."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from ipykernel.ipkernel import IPythonKernel
from ipykernel.kernelapp import IPKernelApp
from traitlets import Type

from openai_kernel.extension import load
from openai_kernel.outgoing import MaskingSession


class OpenAIKernel(IPythonKernel):
    """Python as IPython's kernel runs it, and what the lesson adds."""

    def __init__(self, **settings: Any) -> None:
        """Takes what any kernel takes."""
        super().__init__(**settings)
        load(self.shell)


class OpenAIKernelApp(IPKernelApp):
    """Starts the kernel."""

    name = "openai-kernel"
    kernel_class = Type(  # type: ignore[assignment]
        OpenAIKernel, klass="ipykernel.kernelbase.Kernel"
    ).tag(config=True)

    def init_path(self) -> None:
        """Let a learner import the modules beside the notebook, but none in place of Python's own.

        The kernel is started with ``-P``, so that no such file breaks its start; IPython then leaves them out.
        """
        if "" in sys.path or self.ignore_cwd or os.environ.get("PYTHONSAFEPATH"):
            return
        names = [Path(path).name for path in sys.path]
        packages = [at for at, name in enumerate(names) if name in ("site-packages", "dist-packages")]
        sys.path.insert(min(packages, default=len(names)), "")

    def _session_default(self) -> MaskingSession:
        return MaskingSession(parent=self)
