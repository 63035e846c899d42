"""The settings of destinations that are set up by the environment, so that their keys are in no database."""

from collections.abc import Mapping
from typing import Any

from app.destinations.voucherify import VOUCHERIFY
from app.settings import Settings


def environment(settings: Settings) -> Mapping[str, Mapping[str, Any]]:
    """By the destination's type; for rows that have no settings of their own."""
    return {VOUCHERIFY.slug: _voucherify(settings)}


def _voucherify(settings: Settings) -> dict[str, Any]:
    """The keys of the transport for its official actions, the API's for our own."""
    api = {
        "apiKey": settings.voucherify_application_id.get_secret_value(),
        "secretKey": settings.voucherify_secret_key.get_secret_value(),
        "customURL": settings.voucherify_api_url,
    }
    if settings.voucherify_transport == "v1":
        return {**api, "transport": "v1", "api": api}
    return {
        "apiKey": settings.voucherify_integration_application_id.get_secret_value(),
        "secretKey": settings.voucherify_integration_secret_key.get_secret_value(),
        "customURL": settings.voucherify_segmentio_url,
        "transport": "segmentio",
        "api": api,
    }
