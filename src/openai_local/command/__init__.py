"""What the commands of ``openai-local`` do. How they are typed is said in `openai_local.cli`."""
