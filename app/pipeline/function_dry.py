"""Voucherify as an insert function sees it in a dry run: read as always, and never written."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from app.api import Voucherify
from app.errors import VoucherifyUnavailable
from app.voucherify import publications
from app.voucherify.client import Call, Client
from app.voucherify.loyalty import Card

CODE: Final = "DRY-RUN"
"""The code of a card or coupon that a real run would have got."""


@dataclass(frozen=True)
class Unsent(Call):
    """A call that was not made; `answered` is what the function got instead."""

    dry: bool = True


class ReadingClient(Client):
    """Sends what only reads. Whatever else a function asks for gets an answer that is made up here."""

    async def send(
        self,
        method: str,
        url: str,
        body: Any,
        headers: Mapping[str, str],
        *,
        params: Mapping[str, str | int | bool] | None = None,
        may_leave: Callable[[], bool] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - the base class's signature
    ) -> Call:
        if method == "GET":
            return await super().send(method, url, body, headers, params=params, may_leave=may_leave, timeout=timeout)
        path = urlsplit(url).path
        call = Unsent(method, path, body, 0, _made_up(path, body), 0.0)
        if self.observe is not None:
            self.observe(call)
        return call


def _made_up(path: str, body: Any) -> Any:
    """A publication with a code for a publication, else what was sent: Voucherify answers with the object it stored."""
    if path == "/v1/publications":
        return {"voucher": {"code": CODE, "campaign": _campaign(body), "loyalty_card": {"points": 0, "balance": 0}}}
    return body


def _campaign(body: Any) -> str:
    campaign = body.get("campaign") if isinstance(body, dict) else None
    return str(campaign.get("name") or campaign.get("id") or "") if isinstance(campaign, dict) else ""


class DryVoucherify(Voucherify):
    """The calls of `Voucherify`, over a client that only reads."""

    async def join(self, campaign: str, user_id: str) -> Card:
        """The card that the customer has; one that is made up where there is none yet, or nobody to ask."""
        try:
            if found := await publications.of(self.client, user_id, campaign=campaign, limit=1):
                return await self.loyalty.card(publications.code_of(found[0]))
        except VoucherifyUnavailable:
            pass
        return await super().join(campaign, user_id)
