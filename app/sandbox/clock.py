"""The sandbox's time: real time plus an offset that tests and demonstrations move."""

from datetime import UTC, datetime, timedelta


class Clock:
    """All times in the sandbox come from here. The offset is kept in the database, so a restart stays in its time."""

    def __init__(self) -> None:
        self.offset = timedelta(0)

    def now(self) -> datetime:
        """UTC, whole milliseconds: Voucherify's timestamps carry no more."""
        now = datetime.now(UTC) + self.offset
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def set(self, moment: datetime) -> None:
        """From now on the clock runs on from `moment`."""
        self.offset = moment - datetime.now(UTC)

    def advance(self, seconds: float) -> None:
        self.offset += timedelta(seconds=seconds)

    def reset(self) -> None:
        self.offset = timedelta(0)


def iso(moment: datetime | None) -> str | None:
    """`2026-01-01T11:11:11.111Z`, as every timestamp of the API."""
    if moment is None:
        return None
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def parse_time(text: str) -> datetime:
    """Read an ISO-8601 date or time; without a zone it is UTC.

    Raises:
        ValueError: it is neither.
    """
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
