"""The commands of the lesson."""
