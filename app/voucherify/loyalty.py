"""Loyalty is a port (rule 11): only the v1 adapter knows `/v1/loyalties`, so that a v2 adapter can stand beside it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar
from urllib.parse import quote

from app.errors import SettingError, VoucherifyRefused, VoucherifyRejectsKeys, VoucherifyUnclear
from app.voucherify import publications
from app.voucherify.client import Client
from app.voucherify.happened import PAGE, Page

Read = TypeVar("Read")


@dataclass(frozen=True)
class Card:
    """A member's loyalty card as the engine states it."""

    code: str
    campaign: str
    balance: int
    """Points that can be spent."""


@dataclass(frozen=True)
class Reward:
    """What a member can get for points."""

    id: str
    name: str
    points: int
    """Its price."""


@dataclass(frozen=True)
class Request:
    """A request that moves points. It is stored before it leaves, for no engine has an idempotency key for it."""

    method: str
    path: str
    body: dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What became of such a request, from its answer or from a look-up: carried out, or refused by a rule."""

    done: bool
    points: int
    """What came (positive) or went (negative)."""
    coupon: str | None
    """The code that a reward brought."""
    key: str
    """The engine's reason, where it was refused."""
    answered: Any


@dataclass(frozen=True)
class LookUp:
    """The question whether a request was carried out: where it was asked, and what was found (None: nothing yet)."""

    path: str
    outcome: Outcome | None


class Loyalty(Protocol):
    """What the backend asks of a loyalty engine.

    `operation` is our own id of a movement of points. It travels with the request, and look-ups know it again by that.
    """

    async def join(self, campaign: str, customer: dict[str, Any]) -> Card:
        """Make the customer a member; a second call returns the same card."""
        ...

    async def card(self, code: str) -> Card:
        """The card as it stands now."""
        ...

    async def transactions(self, card: str, place: str | None = None) -> Page:
        """A page of the movements on the card, the newest first; `place` is where the page before goes on."""
        ...

    async def rewards(self, card: str) -> list[Reward]:
        """What the holder of the card can get for points, the cheapest first; also what is too dear just now."""
        ...

    def purchase(self, card: str, reward_id: str, operation: str) -> Request:
        """The request that takes the points and gives the reward. Sends nothing."""
        ...

    def adjustment(self, card: str, points: int, reason: str, operation: str) -> Request:
        """The request that adds points to the card, or takes some off. Sends nothing."""
        ...

    async def buy(self, request: Request) -> Outcome:
        """Send a purchase. Not idempotent: after an unclear answer look it up."""
        ...

    async def adjust(self, request: Request) -> Outcome:
        """Send an adjustment. Not idempotent: after an unclear answer look it up."""
        ...

    async def find_purchase(self, customer: str, operation: str) -> LookUp:
        """Whether this purchase was carried out. `customer` is the holder's `source_id`."""
        ...

    async def find_adjustment(self, card: str, operation: str) -> LookUp:
        """Whether this adjustment was carried out."""
        ...


@dataclass(frozen=True)
class LoyaltyV1:
    """The engine behind `/v1/loyalties`."""

    client: Client

    async def join(self, campaign: str, customer: dict[str, Any]) -> Card:
        return card_of((await publications.join(self.client, campaign, customer))["voucher"])

    async def card(self, code: str) -> Card:
        return card_of(await self.client.call("GET", _member(code)))

    async def transactions(self, card: str, place: str | None = None) -> Page:
        after = {"starting_after_id": place} if place else {}
        answer = await self.client.call("GET", _transactions(card), params={"limit": PAGE, **after})
        rows = _understood(lambda: list(answer["data"]), answer)
        return Page(rows, rows[-1]["id"] if answer.get("has_more") and rows else None)

    async def rewards(self, card: str) -> list[Reward]:
        listed = await self.client.call("GET", f"{_member(card)}/rewards", params={"limit": PAGE})
        # One of the kind COIN has no price of its own: it takes points off an order, which is not a purchase.
        offered = [each for each in listed["data"] if each["reward"]["type"] != "COIN" and _price(each) is not None]
        return sorted(
            (Reward(each["reward"]["id"], each["reward"]["name"], int(_price(each) or 0)) for each in offered),
            key=lambda reward: (reward.points, reward.name),
        )

    def purchase(self, card: str, reward_id: str, operation: str) -> Request:
        body = {"reward": {"id": reward_id}, "metadata": {"request_id": operation}}
        return Request("POST", f"{_member(card)}/redemption", body)

    def adjustment(self, card: str, points: int, reason: str, operation: str) -> Request:
        return Request("POST", f"{_member(card)}/balance", {"points": points, "reason": reason, "source_id": operation})

    async def buy(self, request: Request) -> Outcome:
        return _bought(await self.client.call(request.method, request.path, request.body))

    async def adjust(self, request: Request) -> Outcome:
        answer = await self.client.call(request.method, request.path, request.body)
        return _understood(lambda: Outcome(True, int(answer["points"]), None, "", answer), answer)

    async def find_purchase(self, customer: str, operation: str) -> LookUp:
        path = "/v1/redemptions"
        params: dict[str, str | int] = {"customer": customer, "order": "-created_at", "limit": PAGE}
        listed = await self.client.call("GET", path, params=params)
        ours = _understood(lambda: [each for each in listed["redemptions"] if _request_id(each) == operation], listed)
        return LookUp(path, _bought(ours[0]) if ours else None)

    async def find_adjustment(self, card: str, operation: str) -> LookUp:
        rows = (await self.transactions(card)).rows  # the newest: what is looked up happened minutes ago
        ours = _understood(lambda: [each for each in rows if each["source_id"] == operation], rows)
        return LookUp(_transactions(card), _adjusted(ours[0]) if ours else None)

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


def _member(card: str) -> str:
    return f"/v1/loyalties/members/{quote(card, safe='')}"


def _transactions(card: str) -> str:
    return f"{_member(card)}/transactions"


def _price(offer: dict[str, Any]) -> int | None:
    points: int | None = ((offer["assignment"].get("parameters") or {}).get("loyalty") or {}).get("points")
    return points


def _request_id(redemption: dict[str, Any]) -> Any:
    return (redemption["metadata"] or {}).get("request_id")


def _bought(redemption: Any) -> Outcome:
    """A redemption of a reward, from the answer to it or from the list of redemptions."""

    def read() -> Outcome:
        if redemption["result"] != "SUCCESS":
            return Outcome(False, 0, None, str(redemption.get("failure_code") or ""), redemption)
        voucher = redemption["reward"].get("voucher") or {}
        return Outcome(True, -int(redemption["amount"]), voucher.get("code"), "", redemption)

    return _understood(read, redemption)


def _adjusted(transaction: Any) -> Outcome:
    return _understood(
        lambda: Outcome(True, int(transaction["details"]["balance"]["points"]), None, "", transaction), transaction
    )


def _understood(read: Callable[[], Read], answer: Any) -> Read:
    """What an answer says. One that says nothing we know leaves open what was done: a 200 may be a proxy's own page."""
    try:
        return read()
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise VoucherifyUnclear("Voucherify's answer does not say what was done.", answer=answer) from error


def card_of(voucher: dict[str, Any]) -> Card:
    """The card in a voucher object."""
    return Card(code=voucher["code"], campaign=voucher.get("campaign") or "", balance=balance_of(voucher))


def balance_of(voucher: dict[str, Any]) -> int:
    """The points of a card that can be spent. Older answers state `points` only."""
    loyalty_card = voucher["loyalty_card"]
    balance = loyalty_card.get("balance")
    return int(loyalty_card["points"] if balance is None else balance)
