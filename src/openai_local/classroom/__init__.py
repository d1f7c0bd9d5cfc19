"""What only a class needs: roster and keys, hand-out, limits, a JupyterHub's tokens, and the class's page.

It stands on the service: its store, its keys, its requests. The service knows it only where the application is put
together (`service.app`).
"""
