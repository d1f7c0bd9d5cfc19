"""The one family of errors that the lesson shows to a learner."""


class LessonError(Exception):
    """Something a learner can mend. ``str(error)`` says what happened, where, and what to type next.

    In a notebook it is shown as that sentence, without a traceback.
    """

    def _render_traceback_(self) -> list[str]:
        return [str(self)]
