"""The one place where things are built and given to one another: what all processes share, the API, the worker."""
