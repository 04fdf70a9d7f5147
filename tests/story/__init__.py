"""The whole story over HTTP, for people (``make demo``) and for the suite: nine steps, each shown by what came back."""
