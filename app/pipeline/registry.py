"""Destinations as they are set up now: their rows, compiled. Loaded again when somebody changes them.

A row that can't be compiled harms only itself: it is left out, and `faults` says why.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from app.db.session import Database
from app.destinations.base import Destination, Preset
from app.errors import LoyaltyError
from app.pipeline.filters import Filters, Rule, compile_filters
from app.pipeline.mapping import compile_mapping
from app.pipeline.mappings import CompiledMapping
from app.pipeline.subscriptions import compile_trigger
from app.telemetry import log
from app.text import slug_of

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Connected:
    """A destination that is set up."""

    slug: str
    name: str
    """As its row is called; a destination of one type may be connected several times."""
    destination: Destination
    enabled: bool
    settings: Settings
    filters: Filters | None
    """None: there are none."""
    mappings: Mapping[str, CompiledMapping]
    """By slug, in the order in which they are delivered."""
    faults: Sequence[str] = ()
    """What could not be compiled, and so does nothing."""


@dataclass
class Registry:
    """One per process."""

    database: Database
    catalogue: Mapping[str, Destination]
    environment: Mapping[str, Settings]
    """Settings of types that have them from the environment."""
    connected: Mapping[str, Connected] = field(default_factory=dict)
    """By slug. Replaced as a whole."""
    _version: int = -1

    async def refresh(self) -> bool:
        """Load everything again if it has changed. False, always: nothing is left to do."""
        async with self.database.connection() as connection:
            version = await connection.fetchval("SELECT coalesce(max(version), -1) FROM configuration")
            if version == self._version:
                return False
        async with self.database.transaction() as connection:
            await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            loaded = await self._load(connection)
            self._version = await connection.fetchval("SELECT coalesce(max(version), -1) FROM configuration")
        self.connected = loaded
        log.info("registry.loaded", version=self._version, destinations=len(loaded))
        return False

    async def _load(self, connection: asyncpg.Connection) -> dict[str, Connected]:
        destinations = await connection.fetch("SELECT * FROM destination ORDER BY slug")
        mappings, filters = defaultdict(list), defaultdict(list)
        for row in await connection.fetch("SELECT * FROM mapping ORDER BY destination, place, id"):
            mappings[row["destination"]].append(row)
        for row in await connection.fetch("SELECT * FROM destination_filter WHERE enabled ORDER BY destination, id"):
            filters[row["destination"]].append(row)
        return {
            row["slug"]: connect(
                row["slug"],
                self.catalogue[row["type"]],
                row["settings"] or self.environment.get(row["type"], {}),
                mappings[row["slug"]],
                filters[row["slug"]],
                name=row["name"],
                enabled=row["enabled"],
            )
            for row in destinations
            if row["type"] in self.catalogue
        }


def rows_of(presets: Iterable[Preset]) -> list[dict[str, Any]]:
    """The mappings that a new destination starts with, as rows."""
    return [
        {
            "slug": slug_of(preset.name),
            "name": preset.name,
            "action": preset.action,
            "trigger": preset.trigger,
            "mapping": dict(preset.mapping),
            "enabled": True,
        }
        for preset in presets
    ]


def connect(
    slug: str,
    destination: Destination,
    settings: Settings,
    mappings: Iterable[Mapping[str, Any]],
    filters: Iterable[Mapping[str, Any]] = (),
    *,
    name: str = "",
    enabled: bool = True,
) -> Connected:
    """Compile the rows of one destination: pure."""
    compiled: dict[str, CompiledMapping] = {}
    faults: list[str] = []
    for row in mappings:
        try:
            compiled[row["slug"]] = CompiledMapping(
                slug=row["slug"],
                action=destination.actions[row["action"]],
                takes=compile_trigger(row["trigger"]),
                maps=compile_mapping(row["mapping"]),
                enabled=row["enabled"],
            )
        except KeyError:
            faults.append(f"The mapping {row['slug']} names the action {row['action']}, which there is not.")
        except LoyaltyError as error:
            faults.append(f"The mapping {row['slug']} can't be read: {error.sentence}")
    rules = [Rule(row["name"], row["condition"], row["kind"], tuple(row["paths"]), row["percent"]) for row in filters]
    try:
        made = compile_filters(rules) if rules else None
    except LoyaltyError as error:
        faults.append(f"The filters can't be read, so nothing goes out: {error.sentence}")
        made = Filters(rejects=((", ".join(rule.name for rule in rules), lambda _: True),))
    for fault in faults:
        log.error("destination.fault", destination=slug, fault=fault)
    return Connected(slug, name or destination.name, destination, enabled, settings, made, compiled, tuple(faults))
