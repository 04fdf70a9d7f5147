"""The one place from which the broker calls out over HTTP; see `broker.transport.wire`."""

from broker.transport.wire import LONGEST_HELD, MAX_CALLS, Budget, MayRepeat, OnEnded, OnSent, Transport, Wire

__all__ = ["LONGEST_HELD", "MAX_CALLS", "Budget", "MayRepeat", "OnEnded", "OnSent", "Transport", "Wire"]
