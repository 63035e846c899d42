"""Locks on codes: a validation with a session holds a use and credits back for the redemption with its key.

documented: the key (given or made), 7 days by default, the units of `ttl`, at most as many locks as a code has uses
left (`quantity_exceeded`), freed by time, by the redemption with the key, or by hand; the same key again replaces its
locks.
inferred: a session of which any redeemable fails locks nothing; promotion tiers have nothing to lock.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from litestar import Router, delete
from litestar.params import FromPath

from app.sandbox import vouchers
from app.sandbox.errors import invalid_payload, not_found
from app.sandbox.fidelity import documented, inferred
from app.sandbox.ids import new_id
from app.sandbox.read import mapping, number, one_of, text
from app.sandbox.store import TheStore
from app.sandbox.work import Work

_SECONDS = {
    "DAYS": 86400.0,
    "HOURS": 3600.0,
    "MINUTES": 60.0,
    "SECONDS": 1.0,
    "MILLISECONDS": 1e-3,
    "MICROSECONDS": 1e-6,
    "NANOSECONDS": 1e-9,
}
_LONGEST = 366 * 86400.0


@dataclass(frozen=True)
class Session:
    key: str
    ttl: float
    unit: str

    def ends(self, now: datetime) -> datetime:
        return now + timedelta(seconds=self.ttl * _SECONDS[self.unit])

    def shown(self) -> dict[str, Any]:
        ttl = int(self.ttl) if float(self.ttl).is_integer() else self.ttl
        return {"key": self.key, "type": "LOCK", "ttl": ttl, "ttl_unit": self.unit}


def read(body: dict[str, Any]) -> Session | None:
    """The session of a validation or redemption, if it has one."""
    given = mapping(body, "session")
    if not given:
        return None
    if one_of(given, "type", ("LOCK",), at=".session") is None:
        raise invalid_payload("Property .session should have required property 'type'")
    unit = one_of(given, "ttl_unit", tuple(_SECONDS), at=".session") or "DAYS"
    ttl = number(given, "ttl", at=".session")
    session = Session(text(given, "key", longest=255, at=".session") or new_id("ssn"), 7 if ttl is None else ttl, unit)
    if session.ttl * _SECONDS[unit] > _LONGEST:
        raise invalid_payload("Property .session.ttl must not be longer than a year")
    return session


async def held(work: Work, voucher_id: str, *, besides: str | None = None) -> int:
    """How many uses of this voucher sessions hold back, apart from that of one key."""
    return int(
        await work.value(
            "SELECT count(*) FROM session_lock WHERE voucher_id = $1 AND key IS DISTINCT FROM $2 AND expires_at > $3",
            voucher_id,
            besides,
            work.now,
        )
    )


async def lock(work: Work, session: Session, wanted: list[tuple[Mapping[str, Any], int]]) -> None:
    """Hold these vouchers (each with its credits) for this key and nothing else; the caller holds their locks."""
    await work.run("DELETE FROM session_lock WHERE key = $1 OR expires_at <= $2", session.key, work.now)
    await work.run(
        "INSERT INTO session_lock (key, voucher_id, credits, expires_at) "
        "SELECT $1, id, credits, $4 FROM unnest($2::text[], $3::bigint[]) AS new (id, credits)",
        session.key,
        [voucher["id"] for voucher, _ in wanted],
        [credits_ for _, credits_ in wanted],
        session.ends(work.now),
    )


async def free(work: Work, key: str, voucher_ids: list[str]) -> None:
    await work.run("DELETE FROM session_lock WHERE key = $1 AND voucher_id = ANY($2)", key, voucher_ids)


@delete("/vouchers/{reference:str}/sessions/{key:str}", status_code=204)
async def release(reference: FromPath[str], key: FromPath[str], store: TheStore) -> None:
    async with store.work() as work:
        row = await vouchers.found(work, reference)
        gone = await work.run(
            "DELETE FROM session_lock WHERE voucher_id = $1 AND key = $2 AND expires_at > $3", row["id"], key, work.now
        )
        if gone == "DELETE 0":
            raise not_found("session", key)


router = Router("/", route_handlers=[release])

FIDELITY = (
    documented(
        "**Sessions**: a validation with `session` locks a use and the credits of each code; as many "
        "locks as uses; freed by time, by the redemption with the key, or by hand; the key again locks "
        "anew"
    ),
    inferred("a validation that says no locks nothing; promotion tiers have nothing to lock"),
)
