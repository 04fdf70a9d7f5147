"""One module per resource; each route is guarded, which a test proves from the application itself."""
