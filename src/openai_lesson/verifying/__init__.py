"""Does a model know, or does it only sound so? Sets of questions, measures of right answers, and the result."""

from openai_lesson.verifying.exact import Recall, recall
from openai_lesson.verifying.verification import Verification, verify

__all__ = ["Recall", "Verification", "recall", "verify"]
