"""What a JupyterHub needs for the lesson, whichever kind of Hub it is: the service, the rights, the two variables.

`set_up` is called from the Hub's own settings. It adds to what is set there already, and replaces one thing only:
the scopes of the role ``user``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

NAME = "openai"
"""What the service is called at the Hub; its path is ``/services/openai/``."""
SCOPE = f"access:services!service={NAME}"
"""The right to call it."""
START = Path(__file__).with_name("start_server.py")


def set_up(
    c: Any,
    *,
    python: str,
    home: str,
    cache: str,
    port: int,
    address: str = "",
    user: str = "",
    instructors: str = "instructors",
    options: Sequence[str] = (),
) -> None:
    """Add the lesson to a Hub's settings.

    Args:
        c: the settings.
        python: the Python of the environment in which the lesson is installed.
        home: the folder for everything that the service keeps.
        cache: the folder with the base model.
        port: a free port of this machine, on which the service listens; nobody beyond the machine reaches it.
        address: where learners' servers find the Hub's proxy, such as ``https://hub.example.org``. Nothing if they
            run on this machine: then they call the service itself.
        user: the system's user as whom the service runs; nothing is the user of the Hub.
        instructors: groups at the Hub whose members see what all learners made, with commas between them.
        options: more options for ``openai-local serve``.
    """
    here = f"http://127.0.0.1:{port}"
    service = {
        "name": NAME,
        "url": here,
        "command": [python, "-P", "-m", "openai_local", "serve", "--jupyterhub", *options],
        "environment": {
            "OPENAI_LOCAL_HOME": home,
            "OPENAI_LOCAL_CACHE": cache,
            "OPENAI_LOCAL_INSTRUCTORS": instructors,
        },
        "user": user,
    }
    c.JupyterHub.services.append(service)

    # Everyone may call the service, and so may the token that each learner's server has. The other two scopes are
    # those that such a token has without us.
    c.JupyterHub.load_roles.append({"name": "user", "scopes": ["self", SCOPE]})
    c.Spawner.server_token_scopes = ["users:activity!user", "access:servers!server", SCOPE]

    def base_url(spawner: Any) -> str:
        return f"{address.rstrip('/') or here}{spawner.hub.base_url.removesuffix('hub/')}services/{NAME}/v1"

    variables = {"OPENAI_BASE_URL": base_url, "OPENAI_API_KEY": lambda spawner: spawner.api_token}
    c.Spawner.environment.update(variables)
    c.Spawner.cmd = [python, str(START)]
    c.Spawner.http_timeout = 120  # seconds; where a whole class starts at once, JupyterHub's 30 are not enough
