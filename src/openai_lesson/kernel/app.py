"""The kernel "OpenAI": IPython's own, with a session that hides secrets and with the lesson's additions."""

from __future__ import annotations

from typing import Any

from ipykernel.ipkernel import IPythonKernel
from ipykernel.kernelapp import IPKernelApp
from traitlets import Type

from openai_lesson.kernel.extension import load
from openai_lesson.kernel.outgoing import MaskingSession


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

    def _session_default(self) -> MaskingSession:
        return MaskingSession(parent=self)
