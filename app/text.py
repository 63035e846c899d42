"""Names as they stand in addresses and rows."""

import re


def slug_of(name: str) -> str:
    """`Order Paid` → `order-paid`."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
