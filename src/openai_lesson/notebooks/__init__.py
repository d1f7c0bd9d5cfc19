"""The notebooks themselves: running them without a browser, checking exercises, making the learner's version."""
