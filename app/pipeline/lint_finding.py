"""One thing that a person should know about a trigger, a mapping or a destination, before it surprises them."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

Level = Literal["error", "warning", "note"]
"""`error`: it can't be read, or takes or sends nothing. `warning`: it does something else than it says. `note`: it does
what it says, with a corner worth knowing."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found. `code` is stable; `sentence` is for people.

    For triggers: `reads_as` is Segment's reading in plain words. `write_instead` is a trigger that Segment reads as it
    was meant; where no single one can say it, it is None, the sentence says why, and `split` may have triggers for
    mappings of their own that say it together.
    For mappings: `at` is the field, such as `/metadata`.
    """

    code: str
    level: Level
    sentence: str
    reads_as: str | None = None
    write_instead: str | None = None
    split: tuple[str, ...] = ()
    at: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Only what is said."""
        return {name: value for name, value in asdict(self).items() if value not in (None, ())}
