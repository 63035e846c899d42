"""A programme file as a whole."""

from typing import Annotated

from msgspec import Meta

from app.programmes.format_campaigns import Campaign
from app.programmes.format_tests import Test
from app.programmes.format_things import Event, Kind, Name, Part, Product, Reward, Segment, ValidationRule


class Webhook(Part, frozen=True, kw_only=True):
    url: Annotated[str, Meta(min_length=1)]
    """`{PUBLIC_URL}` stands for the setting of that name."""
    events: list[str] = []
    """Project events; none: all."""
    distributions: list[str] = []
    """Events that Voucherify sends as distributions alone."""


class Programme(Part, frozen=True, kw_only=True):
    programme: Name
    about: str = ""
    metadata_schemas: dict[str, dict[str, Kind]] = {}
    """By resource: `customer`, `order`, `product`, …"""
    events: list[Event] = []
    segments: list[Segment] = []
    validation_rules: list[ValidationRule] = []
    products: list[Product] = []
    rewards: list[Reward] = []
    campaigns: list[Campaign] = []
    webhooks: list[Webhook] = []
    tests: list[Test] = []
