"""What one looks at: pictures with a text that says the same, cards that update in place, tables as text."""
