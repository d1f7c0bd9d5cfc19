"""Answers: llama.cpp's servers, and who is answered by which of them, many at once."""
