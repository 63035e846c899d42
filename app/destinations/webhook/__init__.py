"""The Webhooks destination: any event, mapped, as JSON to any address. Its action and fields are those of Segment's."""

from typing import Final

from app.destinations.base import Destination
from app.destinations.webhook.actions.send import SEND
from app.destinations.webhook.request import SETTINGS, test_connection

WEBHOOK: Final = Destination(
    name="Webhooks (Actions)",
    slug="webhook",
    settings=SETTINGS,
    actions={SEND.slug: SEND},
    presets=(),  # as on Segment: nothing leaves before somebody says what, and where to
    test_connection=test_connection,
)
