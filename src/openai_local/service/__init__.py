"""The web side: routes, keys, the database and the queue. Never imports torch."""
