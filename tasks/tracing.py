"""One trace from the HTTP request to the index: the W3C `traceparent` travels in the message.

Everything here uses the OpenTelemetry API alone, which does nothing until somebody installs a provider. `set_up`
does, if OTEL_EXPORTER_OTLP_ENDPOINT is set and the extra `tracing` is installed. The span of a request, which goes
on with the caller's trace, is FastAPI's own.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from tasks.settings import TasksSettings

__all__ = ["recording", "set_up", "span", "traceparent"]

_TRACER = trace.get_tracer("townpost.tasks")
_W3C = TraceContextTextMapPropagator()


def set_up(settings: TasksSettings, service: str) -> None:
    """Send spans to OTEL_EXPORTER_OTLP_ENDPOINT, if that is set; in batches, from a thread of its own."""
    if settings.otel_exporter_otlp_endpoint is None:
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - an extra
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - an extra
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - an extra
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - an extra
    except ImportError:
        logging.getLogger("townpost.tracing").warning(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, but nothing is traced: install the extra `tracing`"
        )
        return
    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    exporter = OTLPSpanExporter(endpoint=f"{settings.otel_exporter_otlp_endpoint.rstrip('/')}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)


def recording() -> bool:
    """Whether anybody wants spans."""
    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


@contextmanager
def span(name: str, kind: SpanKind = SpanKind.INTERNAL, parent: str | None = None) -> Iterator[Span]:
    """A span as a child of what the traceparent names, or else of the current one."""
    context = None if parent is None else _W3C.extract({"traceparent": parent})
    with _TRACER.start_as_current_span(name, context=context, kind=kind) as current:
        yield current


def traceparent() -> str | None:
    """The current span, as it is written into a message."""
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
