"""The Voucherify destination: Segment's own, rebuilt, so that one mapping works here and there; and order actions."""

from typing import Final

from app.destinations.base import Destination
from app.destinations.voucherify.actions.add_custom_event import ADD_CUSTOM_EVENT
from app.destinations.voucherify.actions.assign_customer_to_group import ASSIGN_CUSTOMER_TO_GROUP
from app.destinations.voucherify.actions.order_paid import ORDER_PAID
from app.destinations.voucherify.actions.order_refunded import ORDER_REFUNDED
from app.destinations.voucherify.actions.upsert_customer import UPSERT_CUSTOMER
from app.destinations.voucherify.presets import PRESETS
from app.destinations.voucherify.transport import SETTINGS, test_connection

VOUCHERIFY: Final = Destination(
    name="Voucherify (Actions)",
    slug="voucherify-actions",
    settings=SETTINGS,
    actions={
        action.slug: action
        for action in (UPSERT_CUSTOMER, ADD_CUSTOM_EVENT, ASSIGN_CUSTOMER_TO_GROUP, ORDER_PAID, ORDER_REFUNDED)
    },
    presets=PRESETS,
    test_connection=test_connection,
    transport="voucherify",
)
