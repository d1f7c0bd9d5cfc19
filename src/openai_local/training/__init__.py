"""Training, a process of its own: data as tokens, the network, the optimizer, the loop, the job's folder.

The service starts it (``python -P -m openai_local.training``) and reads what it tells in the job's folder.
"""
