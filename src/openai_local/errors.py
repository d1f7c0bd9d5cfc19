"""The one family of errors that this package shows to a person.

The message says what happened, where, and what to type next. The command line prints it without a traceback;
the service puts it into OpenAI's error envelope.
"""


class LocalError(Exception):
    """Something a person can mend. ``str(error)`` is the sentence to show."""
