"""Starts the kernel "OpenAI": IPython's own, with the lesson's additions."""

import os
import sys
from pathlib import Path

from ipykernel.kernelapp import IPKernelApp

from openai_kernel import load_ipython_extension


class OpenAIKernelApp(IPKernelApp):
    """Starts the kernel."""

    name = "openai-kernel"

    def init_path(self) -> None:
        """Let a learner import the modules beside the notebook, but none in place of Python's own.

        The kernel is started with ``-P``, so that no such file breaks its start; IPython then leaves them out.
        """
        if "" in sys.path or self.ignore_cwd or os.environ.get("PYTHONSAFEPATH"):
            return
        names = [Path(path).name for path in sys.path]
        packages = [at for at, name in enumerate(names) if name in ("site-packages", "dist-packages")]
        sys.path.insert(min(packages, default=len(names)), "")

    def init_kernel(self) -> None:
        """Add what the lesson adds, before anything runs."""
        super().init_kernel()
        load_ipython_extension(self.kernel.shell)  # an error ends the kernel: it must not run without masking


if __name__ == "__main__":
    OpenAIKernelApp.launch_instance()
