"""What the commands of ``openai-local`` do: serve, status and stop, keys, models. `openai_local.cli` reads them.

Each module has `COMMANDS`: for each command's name a function that gets what was typed.
"""
