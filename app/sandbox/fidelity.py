"""How sure each emulated behaviour is: a marker beside the code, from which docs/reference/fidelity.md is made.

A module says what it does in one constant:

    FIDELITY = (
        documented("rules fire when an order *becomes* PAID"),
        inferred("discounts of an earlier redemption stay on the order when it is sent again"),
    )

and `python -m scripts.lib.fidelity --write` puts that on the page. What is refused by `NotEmulated` needs no marker:
the page takes it from there.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Mark:
    """One behaviour of the sandbox."""

    sure: Literal["documented", "asserted", "inferred"]
    behaviour: str
    note: str = ""
    """What else is to be said of how sure it is: other sources, the part that is not."""


def documented(behaviour: str, note: str = "") -> Mark:
    """Voucherify's public documentation or OpenAPI description says so."""
    return Mark("documented", behaviour, note)


def asserted(behaviour: str, note: str = "") -> Mark:
    """A test in one of Voucherify's own SDKs expects it of the live service."""
    return Mark("asserted", behaviour, note)


def inferred(behaviour: str, note: str = "") -> Mark:
    """Nobody says; this is what a careful client should be ready for."""
    return Mark("inferred", behaviour, note)
