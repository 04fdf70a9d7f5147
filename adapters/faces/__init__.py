"""Drawn faces for the stand-ins: made from numbers, compared by their pixels. A library; no adapter imports it."""

from adapters.faces.samples import write_samples

__all__ = ["write_samples"]
