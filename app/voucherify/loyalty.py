"""Loyalty is a port (rule 11): only the v1 adapter knows `/v1/loyalties`, so that a v2 adapter can stand beside it."""

from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

from app.errors import SettingError, VoucherifyRefused, VoucherifyRejectsKeys
from app.voucherify import publications
from app.voucherify.client import Client


@dataclass(frozen=True)
class Card:
    """A member's loyalty card as the engine states it."""

    code: str
    campaign: str
    balance: int
    """Points that can be spent."""


class Loyalty(Protocol):
    """What the backend asks of a loyalty engine."""

    async def join(self, campaign: str, customer: dict[str, Any]) -> Card:
        """Make the customer a member; a second call returns the same card."""
        ...

    async def card(self, code: str) -> Card:
        """The card as it stands now."""
        ...


@dataclass(frozen=True)
class LoyaltyV1:
    """The engine behind `/v1/loyalties`."""

    client: Client

    async def join(self, campaign: str, customer: dict[str, Any]) -> Card:
        return card_of((await publications.join(self.client, campaign, customer))["voucher"])

    async def card(self, code: str) -> Card:
        return card_of(await self.client.call("GET", f"/v1/loyalties/members/{quote(code, safe='')}"))

    async def check(self) -> None:
        """Stop the start with a clear sentence when this account has only loyalty v2."""
        try:
            await self.client.call("GET", "/v1/loyalties", params={"limit": 1})
        except (VoucherifyRefused, VoucherifyRejectsKeys) as error:
            if error.code == 401:
                raise SettingError(
                    "Voucherify does not accept VOUCHERIFY_APPLICATION_ID and VOUCHERIFY_SECRET_KEY: copy both from "
                    "the project's settings, and check DATA_REGION or VOUCHERIFY_API_URL."
                ) from error
            raise SettingError(
                "This Voucherify account has no legacy loyalty (/v1/loyalties answered "
                f"{error.code}); accounts made since 2026-07 have loyalty v2 only, which this backend does not speak "
                "yet. Unset VOUCHERIFY_* to use the sandbox, or use a project with legacy loyalty."
            ) from error


def card_of(voucher: dict[str, Any]) -> Card:
    """The card in a voucher object. Older answers state `points` only."""
    loyalty_card = voucher["loyalty_card"]
    balance = loyalty_card.get("balance")
    return Card(
        code=voucher["code"],
        campaign=voucher.get("campaign") or "",
        balance=int(loyalty_card["points"] if balance is None else balance),
    )
