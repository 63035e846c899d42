"""Upsert Customer: an identify creates or updates the customer in Voucherify."""

from typing import Any, Final

from app.destinations.base import Action, Payload, Repeat, Request, Settings
from app.destinations.fields import Field
from app.destinations.voucherify import transport


def _trait(name: str, label: str, help_text: str = "") -> Field:
    return Field(name, label, allow_null=True, default={"@path": f"$.traits.{name}"}, help=help_text)


_ADDRESS: Final = {
    "city": "City",
    "state": "State",
    "postal_code": "Postal Code",
    "street": "Street",
    "country": "Country",
}

FIELDS: Final = (
    Field(
        "source_id",
        "Source ID",
        required=True,
        default={"@path": "$.userId"},
        help="Our id of the customer; anonymous visitors have none and are not sent.",
    ),
    _trait("name", "Name", "First name and last name in one."),
    _trait("first_name", "First Name", "Becomes the name together with the last name, where there is no name."),
    _trait("last_name", "Last Name", "Becomes the name together with the first name, where there is no name."),
    _trait("description", "Description"),
    _trait("email", "Email Address"),
    _trait("phone", "Phone"),
    _trait("birthdate", "Birthdate", "YYYY-MM-DD, or a date and time in ISO 8601."),
    Field(
        "address",
        "Address",
        "object",
        properties=tuple(Field(name, label, allow_null=True) for name, label in _ADDRESS.items()),
        default={name: {"@path": f"$.traits.address.{name}"} for name in _ADDRESS},
    ),
    Field(
        "metadata",
        "Metadata",
        "object",
        allow_null=True,
        default={"@path": "$.traits.metadata"},
        help="The project's own attributes of a customer. Other traits are not sent.",
    ),
    Field("type", "Event Type", required=True, default={"@path": "$.type"}),
)


def build(payload: Payload, settings: Settings) -> Request:
    """The request that sends the customer."""
    if transport.uses_v1(settings):
        return transport.v1(settings, "customers", _customer(payload))
    return transport.segmentio(settings, "customer-processing", payload)


def _customer(payload: Payload) -> dict[str, Any]:
    """The public API's words: one name, `line_1` for the street, no event type."""
    same = ("source_id", "name", "description", "email", "phone", "birthdate", "metadata")
    customer = {key: payload[key] for key in same if key in payload}
    parts = [payload[key] for key in ("first_name", "last_name") if payload.get(key)]
    if parts and not customer.get("name"):
        customer["name"] = " ".join(parts)
    # An empty address is left out: the gateway ignores it, the API might take it for the customer's new address.
    if address := payload.get("address"):
        customer["address"] = {"line_1" if key == "street" else key: value for key, value in address.items()}
    return customer


UPSERT_CUSTOMER: Final = Action(
    slug="upsertCustomer",
    # The leading space is Segment's.
    title=" Upsert Customer",
    description="Create or update the customer from an identify.",
    default_trigger='type = "identify"',
    fields=FIELDS,
    build=build,
    repeat=Repeat(safe=True),
)
