"""Settings of a JupyterHub with the lesson. README.md beside this file has the steps.

    jupyterhub -f deploy/jupyterhub/jupyterhub_config.py

To settings that you have already, add the lines from ``sys.path`` on. Who may log in, and how servers are started,
is set as for any Hub.
"""

import os
import sys
from pathlib import Path

c = get_config()  # noqa: F821 - JupyterHub provides it

sys.path.insert(0, str(Path(__file__).parent))
from openai_hub import set_up  # noqa: E402

home = os.environ.get("OPENAI_LOCAL_HOME", "/srv/openai-local")
set_up(
    c,
    python=sys.executable,  # the lesson and JupyterHub are installed in one environment
    home=home,
    cache=os.environ.get("OPENAI_LOCAL_CACHE", f"{home}/cache"),
    port=int(os.environ.get("OPENAI_LOCAL_PORT", "8766")),
)
