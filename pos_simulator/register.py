"""Which till is calling."""

from dataclasses import dataclass

from sqlmodel.ext.asyncio.session import AsyncSession

from app.auth.principal import Principal
from app.errors import NotAllowed
from app.orders.models import Location


@dataclass(frozen=True)
class Register:
    """A till and the shop it stands in."""

    name: str
    """`<location>/<number>`, as in `warsaw/2`."""
    location: Location

    @property
    def client(self) -> str:
        return client_of(self.name)


def client_of(name: str) -> str:
    """Within this an Idempotency-Key counts: two tills may use the same one."""
    return f"register:{name}"


def register_name(principal: Principal) -> str:
    """`<location>/<number>`."""
    return principal.name.removeprefix("register:")


def location_of(principal: Principal) -> str:
    """The shop of the credentials, or `NotAllowed` when they belong to none."""
    if principal.location_id is None:
        raise NotAllowed("These credentials belong to no location: use the key of a register.")
    return principal.location_id


async def register_of(session: AsyncSession, principal: Principal) -> Register:
    """The till behind the credentials, or `NotAllowed` when they belong to no shop."""
    location = await session.get(Location, location_of(principal))
    if location is None:
        raise NotAllowed("These credentials belong to no location: use the key of a register.")
    return Register(register_name(principal), location)
