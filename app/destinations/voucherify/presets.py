"""Which events go to which Voucherify action, until an operator says otherwise."""

from dataclasses import replace
from typing import Final

from app.destinations.base import Action, Preset
from app.destinations.voucherify.actions.add_custom_event import ADD_CUSTOM_EVENT
from app.destinations.voucherify.actions.assign_customer_to_group import ASSIGN_CUSTOMER_TO_GROUP
from app.destinations.voucherify.actions.order_paid import ORDER_PAID
from app.destinations.voucherify.actions.order_refunded import ORDER_REFUNDED
from app.destinations.voucherify.actions.upsert_customer import UPSERT_CUSTOMER


def _preset(name: str, kind: str, action: Action, event: str | None = None) -> Preset:
    mapping = action.default_mapping
    if event is not None:
        mapping["event"] = {"@template": event}
    return Preset(name, f'type = "{kind}"', action.slug, mapping)


TRACK: Final = _preset("Add Custom Event (Track Event)", "track", ADD_CUSTOM_EVENT)
PAGE: Final = _preset("Add Custom Event (Page Event)", "page", ADD_CUSTOM_EVENT, "Viewed {{name}} Page")
SCREEN: Final = _preset("Add Custom Event (Screen Event)", "screen", ADD_CUSTOM_EVENT, "Viewed {{name}} Screen")
IDENTIFY: Final = _preset("Create Or Update Customer", "identify", UPSERT_CUSTOMER)
GROUP: Final = _preset("Assign Customer To Group", "group", ASSIGN_CUSTOMER_TO_GROUP)

OFFICIAL_PRESETS: Final = (TRACK, PAGE, SCREEN, IDENTIFY, GROUP)
"""What Segment's own Voucherify destination starts with."""

# A programme earns by order or by event, never by both: what the order actions take, the track preset leaves.
_TRACK_WITHOUT_ORDERS: Final = replace(
    TRACK, trigger='type = "track" and event != "Order Completed" and event != "Order Refunded"'
)


def _own(name: str, action: Action) -> Preset:
    return Preset(name, action.default_trigger, action.slug, action.default_mapping)


PRESETS: Final = (
    _TRACK_WITHOUT_ORDERS,
    PAGE,
    SCREEN,
    IDENTIFY,
    GROUP,
    _own("Order Paid", ORDER_PAID),
    _own("Order Refunded", ORDER_REFUNDED),
)
"""What our destination starts with."""
