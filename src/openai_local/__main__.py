"""``python -m openai_local`` is the command ``openai-local``."""

from openai_local.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
