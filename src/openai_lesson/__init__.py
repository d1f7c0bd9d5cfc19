"""The helper module of the lesson: prepare data, connect, train, ask, compare.

A learner writes::

    import openai_lesson as lesson

    client = lesson.connect()
    job = lesson.start(client, "Westminster_Catechism_prepared.jsonl")
    job = lesson.follow(client, job)
    lesson.ask(client, "What is the chief end of man?", job.fine_tuned_model)

Everything goes through the official `openai` client, which `connect` returns; nothing here is needed to use it.
"""

from openai_lesson import catechism, keys, prepare
from openai_lesson.asking import ask, compare
from openai_lesson.connection import Host, connect, host
from openai_lesson.errors import LessonError
from openai_lesson.evaluation import Recall, recall
from openai_lesson.tuning import follow, latest, latest_model, start
from openai_lesson.uploading import upload

__all__ = [
    "Host",
    "LessonError",
    "Recall",
    "ask",
    "catechism",
    "compare",
    "connect",
    "follow",
    "host",
    "keys",
    "latest",
    "latest_model",
    "prepare",
    "recall",
    "start",
    "upload",
]
