"""The service's addresses, a module for each group."""
