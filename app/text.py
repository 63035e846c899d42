"""Names as they stand in addresses and rows, and what stands for a secret wherever one is shown."""

import re
from typing import Final

MASK: Final = "••••••"
"""What is shown of a secret. Sent back, it means the one that is there."""


def slug_of(name: str) -> str:
    """`Order Paid` → `order-paid`."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
