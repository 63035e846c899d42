"""Assign customer to group: a group call puts the group and its traits on the customer in Voucherify."""

from typing import Any, Final

from app.destinations.base import Action, Payload, Repeat, Request, Settings
from app.destinations.fields import Field
from app.destinations.voucherify import transport
from app.destinations.voucherify.actions.add_custom_event import customer_field

FIELDS: Final = (
    customer_field({"@path": "$.email"}),
    Field("group_id", "Group ID", required=True, default={"@path": "$.groupId"}),
    Field("traits", "Group Traits", "object", default={"@path": "$.traits"}),
    Field("type", "Event Type", required=True, default={"@path": "$.type"}),
)


def build(payload: Payload, settings: Settings) -> Request:
    """The request that sends the group."""
    if transport.uses_v1(settings):
        return transport.v1(settings, "customers", _customer(payload))
    return transport.segmentio(settings, "group-processing", payload)


def _customer(payload: Payload) -> dict[str, Any]:
    """Voucherify has no groups: the public API gets them as metadata of the customer.

    Where the gateway puts them is not documented. Here every key starts with `group_`, so that the name of a group
    never replaces an attribute of the customer that happens to be called `name`.
    """
    traits = {f"group_{key}": value for key, value in payload.get("traits", {}).items()}
    return {"source_id": payload["customer"]["source_id"], "metadata": traits | {"group_id": payload["group_id"]}}


ASSIGN_CUSTOMER_TO_GROUP: Final = Action(
    slug="assignCustomerToGroup",
    title="Assign customer to group",
    description="Put a group and its traits on the customer.",
    default_trigger='type = "group"',
    fields=FIELDS,
    build=build,
    repeat=Repeat(safe=True),
)
