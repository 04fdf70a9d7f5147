"""Sending traces to a collector, where the operator wants it."""

import atexit

from broker.kernel.errors import ConfigurationError
from broker.settings import Settings


def provide(settings: Settings) -> None:
    """With BROKER_TRACES, export spans as OpenTelemetry's own variables (OTEL_*) say. Called once per process."""
    if not settings.traces:
        return
    try:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise ConfigurationError(
            "BROKER_TRACES needs the packages of the extra `otel`: install interagency-request-broker[otel]"
        ) from None
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    atexit.register(provider.shutdown)
