"""Every destination that can be connected."""

from collections.abc import Mapping
from typing import Final

from app.destinations.base import Destination
from app.destinations.voucherify import VOUCHERIFY
from app.destinations.webhook import WEBHOOK

DESTINATIONS: Final = (VOUCHERIFY, WEBHOOK)

CATALOGUE: Final[Mapping[str, Destination]] = {destination.slug: destination for destination in DESTINATIONS}
"""By slug."""
