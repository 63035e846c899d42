"""What sending a delivery again would do at its destination: pure."""

from dataclasses import dataclass
from typing import Final, Literal

from app.destinations.base import Repeat

Label = Literal["safe", "already applied", "would apply twice"]

WORDS: Final[dict[Label, str]] = {
    "safe": "It is not known to be applied and may be tried again, or applying it again changes nothing.",
    "already applied": "It is looked for first, and not done again.",
    "would apply twice": "It was applied, or may have been: done again, it counts twice or is a second message.",
}
"""What each label says to people."""


@dataclass(frozen=True)
class Past:
    """What the tries of a delivery say."""

    applied: bool
    """One was answered as done, or was found done."""
    unclear: bool
    """One was sent and may have been carried out: nobody knows."""


def changes_nothing(repeat: Repeat) -> bool:
    """Whether sending what is known to be done changes nothing."""
    return repeat.safe and repeat.again


def settles(repeat: Repeat) -> bool:
    """Whether a look tells for sure if it was done. One that may overlook it does not settle anything."""
    return repeat.look_up is not None and repeat.is_done is not None and repeat.sends_again


def label_of(repeat: Repeat, past: Past) -> Label:
    """The label of a delivery with such tries, for an action that may be repeated so.

    One whose outcome is unclear is safe where a retry does no harm, and where a look-up settles it: it is looked for
    first.
    """
    if changes_nothing(repeat) or not (past.applied or (past.unclear and not repeat.safe)):
        return "safe"
    if not settles(repeat):
        return "would apply twice"
    return "already applied" if past.applied else "safe"
