"""The endpoints, a module per resource. Each module's `ROUTES` is a list of Starlette routes below ``/v1``."""
