"""The lesson at The Littlest JupyterHub. README.md beside this file has the steps.

Copy this file to ``/opt/tljh/config/jupyterhub_config.d/openai.py``.
"""

import sys

c = get_config()  # noqa: F821 - JupyterHub provides it

sys.path.insert(0, "/opt/openai-lesson/deploy/jupyterhub")
from openai_hub import set_up  # noqa: E402

set_up(
    c,
    python="/opt/tljh/user/bin/python",  # the environment of all learners
    home="/srv/openai-local",
    cache="/srv/openai-local/cache",
    port=8766,
    user="openai-local",  # at The Littlest JupyterHub the Hub itself is root
)
