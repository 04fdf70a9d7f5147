"""Logs go to standard error, so that what a command answers on standard output stays clean."""

import logging
import sys
from typing import Any

import structlog

from broker.storage.outage import is_outage


def configure_logs(level: int = logging.INFO) -> None:
    """One line an event: for a person on a terminal, as JSON otherwise. Libraries speak from WARNING upwards."""
    terminal = sys.stderr.isatty()
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _outages_in_one_line,
    ]
    last = _on_a_terminal() if terminal else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, last] if not terminal else [*shared, last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[_clean, last]))
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(logging.WARNING)
    logging.captureWarnings(True)  # A library's warning would else stand between the lines as bare text.


def _outages_in_one_line(_logger: Any, _method: str, event: Any) -> Any:
    # While the database is away everything fails at once, and the traces would bury the reason.
    given = event.get("exc_info")
    error = sys.exc_info()[1] if given is True else given[1] if isinstance(given, tuple) else given
    if isinstance(error, BaseException) and is_outage(error):
        del event["exc_info"]
        event |= {"level": "warning", "cause": "the database cannot be reached"}
    return event


def _on_a_terminal() -> structlog.dev.ConsoleRenderer:
    # The renderer's own choice prints the local variables of every frame: tokens, probes and content among them.
    return structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)


def _clean(logger: Any, method: str, event: Any) -> Any:
    # A library's record carries its traceback as exc_info; rendered here for JSON, by the console renderer otherwise.
    event = structlog.stdlib.ProcessorFormatter.remove_processors_meta(logger, method, event)
    return event if sys.stderr.isatty() else structlog.processors.format_exc_info(logger, method, event)
