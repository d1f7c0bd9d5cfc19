"""Starts the kernel "OpenAI", with the environment's commands on the search path.

Jupyter often runs without the environment being activated. Then ``!openai …`` in a cell would not be found.
"""

from __future__ import annotations

import os
import sysconfig

from openai_kernel.app import OpenAIKernelApp


def main() -> None:
    """Put the environment's commands first, and run the kernel until it is shut down."""
    scripts, path = sysconfig.get_path("scripts"), os.environ.get("PATH", "")
    if scripts not in path.split(os.pathsep):
        os.environ["PATH"] = os.pathsep.join([scripts, path])
    OpenAIKernelApp.launch_instance()


if __name__ == "__main__":
    main()
