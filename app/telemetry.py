"""Logs and metrics, the same in every process.

Logs are `noun.verb` events with keys. `order_id` is bound once per piece of work and is then on every line. Secrets,
bodies and personal data are never handed to a logger.
"""

import logging
import sys

import structlog
from prometheus_client import Counter, Histogram

from app.settings import Settings

INGESTED = Counter("loyalty_events_ingested_total", "Messages taken in at the door.", ["source", "outcome"])
DELIVERED = Counter("loyalty_deliveries_total", "Deliveries finished by this process.", ["action", "outcome"])
VOUCHERIFY_CALLS = Counter(
    "loyalty_voucherify_calls_total", "Calls to Voucherify by this process.", ["method", "resource", "status"]
)
VOUCHERIFY_SECONDS = Histogram("loyalty_voucherify_seconds", "Seconds until Voucherify answered.", ["resource"])
WEBHOOKS = Counter("loyalty_webhooks_total", "Webhooks received.", ["outcome"])


def configure_logging(settings: Settings, process: str) -> None:
    """Set up logging for this process (`web`, `worker`, `sandbox`, …)."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if settings.general.log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=28)
    )
    level = logging.getLevelNamesMapping()[settings.general.log_level]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(
        level=logging.WARNING,  # libraries at INFO print every call with its address: noise, and a leak
        format=f"%(asctime)s [%(levelname)s] %(name)s {process}: %(message)s",
        stream=sys.stderr,
        force=True,
    )
    structlog.contextvars.bind_contextvars(process=process)


log = structlog.stdlib.get_logger()
