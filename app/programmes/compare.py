"""Whether what is there is as it is wanted. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any


def differences(wanted: Mapping[str, Any], there: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Where what is there is not as it is wanted: the field, what it is and what it should be.

    Only what is wanted counts: Voucherify shows much that nobody asked for.
    """
    for field_, value in wanted.items():
        yield from _differences(field_, value, there.get(field_))


def _differences(where: str, wanted: Any, there: Any) -> Iterable[tuple[str, Any, Any]]:
    if isinstance(wanted, Mapping) and (isinstance(there, Mapping) or (there is None and not wanted)):
        for key, value in wanted.items():
            yield from _differences(f"{where}.{key}", value, (there or {}).get(key))
    elif isinstance(wanted, list) and isinstance(there, list) and len(wanted) == len(there):
        for number, (value, each) in enumerate(zip(wanted, there, strict=True)):
            yield from _differences(f"{where}[{number}]", value, each)
    elif not _same(wanted, there):
        yield where, there, wanted


def _same(wanted: Any, there: Any) -> bool:
    if wanted == there and isinstance(wanted, bool) == isinstance(there, bool):
        return True
    if isinstance(wanted, str) and isinstance(there, str):
        return (moment := _moment(wanted)) is not None and moment == _moment(there)
    return False


def _moment(text: str) -> datetime | None:
    """The moment that a text names: Voucherify writes times with and without milliseconds."""
    if len(text) < 10 or text[4] != "-":
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
