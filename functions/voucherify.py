"""The Voucherify destination's insert function: new members get their card, big baskets earn a coupon.

Runs for every event on its way to Voucherify, after the trigger matched and before the mapping is read.
Change a setting, save, and restart the worker.
"""

from dataclasses import dataclass

from app.api import Context, Event

DESTINATION = "Voucherify (Actions)"


@dataclass(frozen=True)
class Settings:
    """What to change first."""

    loyalty_campaign: str = "Loyalty Program"
    """New members join it; its initial points are their welcome."""
    coupon_campaign: str = "Big basket"
    coupon_above: float = 15.00
    """An order with a total over this (major units) earns a coupon."""


async def on_identify(event: Event, settings: Settings, context: Context) -> Event:
    if user_id := event.get("userId"):
        await has_card(user_id, settings, context)
    return event


async def on_track(event: Event, settings: Settings, context: Context) -> Event:
    properties = event.get("properties") or {}
    if event["event"] != "Order Completed" or not event.get("userId"):
        return event
    if not properties.get("loyalty"):
        # The till knew no card yet, so the order may have overtaken the news of its member: it would earn nothing.
        await has_card(event["userId"], settings, context)
    if (properties.get("total") or 0) <= settings.coupon_above:
        return event
    reason = f"big-basket:{properties['order_id']}"
    code = await context.once(
        reason, lambda: context.voucherify.publish(settings.coupon_campaign, event["userId"], source_id=reason)
    )
    return {**event, "properties": {**properties, "earned_coupon": code}}


async def has_card(user_id: str, settings: Settings, context: Context) -> None:
    """Have the member join the loyalty campaign, once: of what comes later none needs a call."""

    async def join() -> str:
        card = await context.voucherify.join(settings.loyalty_campaign, user_id)
        context.log(f"has card {card.code} with {card.balance} points")
        return card.code

    await context.once(f"card:{settings.loyalty_campaign}:{user_id}", join)


async def pass_on(event: Event, settings: Settings, context: Context) -> Event:  # noqa: ARG001 - the handlers' signature
    """A type without a handler is not delivered: this one lets it through as it is."""
    return event


on_page = on_screen = on_group = on_alias = pass_on
