"""A program of somebody else's that uses Segment's Python library, in a process and a version of its own.

Reads what to do as JSON from stdin; writes JSON to stdout: the ids of what it sent, and what the library gave up.
"""

import json
import random
import sys
from datetime import UTC, datetime
from typing import Any

from segment.analytics.client import Client
from segment.analytics.version import VERSION


def main() -> None:
    """Send some calls of every kind, and wait until the library is through with them."""
    wanted = json.load(sys.stdin)
    random.seed(4)  # the older version waits a random time before it tries again
    given_up: list[str] = []
    client = Client(
        wanted["write_key"],
        host=wanted["host"],
        gzip=wanted["gzip"],
        on_error=lambda error, batch: given_up.append(f"{error!r} of {len(batch)}"),
        upload_size=wanted["batch"],
        timeout=wanted["timeout"],
    )
    person = wanted["person"]
    ids: list[str] = []

    def queued(result: tuple[bool, Any]) -> None:
        ok, message = result
        if not ok:
            given_up.append("not queued")
        ids.append(message["messageId"])

    for number in range(wanted["calls"]):
        calls = (
            lambda: client.identify(person, {"first_name": "Mia"}),
            lambda: client.track(person, "Product Viewed", {"price": 4.2}, timestamp=datetime.now(UTC)),
            lambda: client.page(person, "Shop", "Front"),
            lambda: client.screen(person, name="Card"),
            lambda: client.group(person, "g-1", {"name": "Łódź"}),
            lambda: client.alias(f"before-{person}", person),
        )
        queued(calls[number % len(calls)]())
    client.flush()
    client.join()
    json.dump({"version": VERSION, "ids": ids, "given_up": given_up}, sys.stdout)


if __name__ == "__main__":
    main()
