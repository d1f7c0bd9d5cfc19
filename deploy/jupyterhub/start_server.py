"""Starts a learner's server at a JupyterHub, as that learner; the Hub's options are handed on.

At the first start the notebooks are written into the learner's folder `openai-lesson`. Later starts leave that
folder alone: it holds the learner's work. Terminals find the lesson's commands.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

from openai_command import lesson

folder = Path.home() / "openai-lesson"
if not folder.exists():
    lesson.main(["notebooks", "--to", str(folder)])  # if it fails it says so in the Hub's log, and all else works
os.environ["PATH"] = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)])
os.execv(sys.executable, [sys.executable, "-P", "-m", "jupyterhub.singleuser", *sys.argv[1:]])  # noqa: S606 - the Hub gives the words
