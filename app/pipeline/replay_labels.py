"""What sending a delivery again would do at its destination: pure."""

from dataclasses import dataclass
from typing import Final, Literal

from app.destinations.base import Repeat

Label = Literal["safe", "already applied", "would apply twice"]

WORDS: Final[dict[Label, str]] = {
    "safe": "It was never applied, or applying it again changes nothing.",
    "already applied": "It is looked for first, and not done again.",
    "would apply twice": "It was applied, or may have been, and nothing can tell: done again, it counts twice.",
}
"""What each label says to people."""


@dataclass(frozen=True)
class Past:
    """What the tries of a delivery say."""

    applied: bool
    """One was answered as done, or was found done."""
    unclear: bool
    """One was sent and may have been carried out: nobody knows."""


def settles(repeat: Repeat) -> bool:
    """Whether a look tells for sure if it was done. One that may overlook it does not settle anything."""
    return repeat.look_up is not None and repeat.is_done is not None and repeat.sends_again


def label_of(repeat: Repeat, past: Past) -> Label:
    """The label of a delivery with such tries, for an action that may be repeated so.

    One whose outcome is unclear, of an action whose look-up settles it, is safe: it is looked for first.
    """
    if repeat.safe or not (past.applied or past.unclear):
        return "safe"
    if not settles(repeat):
        return "would apply twice"
    return "already applied" if past.applied else "safe"
