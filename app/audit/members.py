"""One member: profile, wallet and movements against the card's ledger in Voucherify. Pure: values in, findings out."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from app.audit.findings import Finding


@dataclass(frozen=True)
class Transaction:
    """One movement of a card, as Voucherify's ledger has it."""

    id: str
    type: str
    points: int
    balance: int | None
    """Of the card, after it."""
    at: datetime
    order_id: str | None = None
    rule: str | None = None
    """The earning rule that gave the points."""
    names: frozenset[str] = frozenset()
    """By what an operation of ours knows it: the `source_id` of an adjustment, the redemption of a reward."""


@dataclass(frozen=True)
class Published:
    """A code that Voucherify gave to the member."""

    code: str
    loyalty_card: bool
    reason: str | None
    """The publication's `source_id`."""
    at: datetime


@dataclass(frozen=True)
class Engine:
    """What Voucherify has of a member."""

    balance: int | None
    """Of the card; None when it does not know the card."""
    transactions: Sequence[Transaction]
    """All, the newest first."""
    published: Sequence[Published]


@dataclass(frozen=True)
class Movement:
    """A row of `point_movement`."""

    points: int
    at: datetime


@dataclass(frozen=True)
class Operation:
    """A row of `point_operation` that is done."""

    id: UUID
    points: int | None
    name: str
    """By what Voucherify's ledger knows it."""
    at: datetime


@dataclass(frozen=True)
class MemberRow:
    """A member with all that our own tables have of it."""

    id: UUID
    card: str | None
    created_at: datetime
    loyalty: Mapping[str, Any]
    """The profile's mirror: `{card, balance, as_of, unsettled?}`."""
    movements: Mapping[str, Movement]
    """By transaction id, those of the card."""
    coupons: Mapping[str, datetime]
    """Codes in the wallet, used ones as well, with when they came."""
    operations: Sequence[Operation] = ()
    taken_back: frozenset[str] = frozenset()
    """Ids of transactions whose points were taken off the card again."""
    unpaid: frozenset[str] = frozenset()
    """Ids of the member's orders that are canceled."""
    delivered: Mapping[str, datetime] = field(default_factory=dict)
    """Ids of the member's orders that are PAID in Voucherify, with when they were delivered there."""

    @property
    def subject(self) -> str:
        return f"member {self.id}"


def check(member: MemberRow, engine: Engine) -> Iterator[Finding]:
    """Compare a member with Voucherify. What Voucherify has was read first, so ours may only be newer."""
    yield from _published(member, engine)
    if member.card is None or engine.balance is None:
        return
    yield from _ledger(member, engine)
    yield from _movements(member, engine)
    yield from _balance(member, engine)
    yield from _operations(member, engine)


def _published(member: MemberRow, engine: Engine) -> Iterator[Finding]:
    cards = [each for each in engine.published if each.loyalty_card]
    if cards and member.card not in {each.code for each in cards}:
        said = (
            f"Its card is {member.card or 'not known'}, and Voucherify gave {', '.join(each.code for each in cards)}."
        )
        yield Finding("card_unequal", member.subject, said, max(each.at for each in cards))
    elif member.card is not None and (not cards or engine.balance is None):
        said = f"Its card is {member.card}, and Voucherify did not give that to this member."
        yield Finding("card_unequal", member.subject, said, member.created_at)
    coupons = {each.code: each.at for each in engine.published if not each.loyalty_card}
    for code in sorted(coupons.keys() - member.coupons.keys()):
        yield Finding("coupon_missing", member.subject, f"{code} was given, and is not in the wallet.", coupons[code])
    for code in sorted(member.coupons.keys() - coupons.keys()):
        said = f"{code} is in the wallet, and was not given to this member."
        yield Finding("coupon_unknown", member.subject, said, member.coupons[code])
    reasons = Counter(each.reason for each in engine.published if each.reason)
    for reason in sorted(reason for reason, times in reasons.items() if times > 1):
        codes = ", ".join(each.code for each in engine.published if each.reason == reason)
        yield Finding("publication_doubled", member.subject, f"{reason} gave {reasons[reason]} codes: {codes}.")


def _ledger(member: MemberRow, engine: Engine) -> Iterator[Finding]:
    """What is on the card before the first transaction has none of its own: the chain begins behind it."""
    earned: dict[tuple[str, str], list[Transaction]] = {}
    for each in engine.transactions:
        if each.order_id and each.rule:
            earned.setdefault((each.order_id, each.rule), []).append(each)
    for order_id in sorted(member.unpaid):
        left = [each for each in engine.transactions if each.order_id == order_id and each.id not in member.taken_back]
        if sum(each.points for each in left) > 0:
            yield Finding("earned_unpaid", f"order {order_id}", "It is canceled, and it has earned.")
    for (order_id, rule), several in sorted(earned.items()):
        if len(several) > 1:
            said = f"It earned {len(several)} times by {rule}: {', '.join(each.id for each in several)}."
            yield Finding("earned_twice", f"order {order_id}", said)
    yield from _too_early(member, engine)
    before: int | None = None
    for each in reversed(engine.transactions):
        if each.balance is None:
            before = None
            continue
        if before is not None and before + each.points != each.balance:
            said = f"{each.id} moved {each.points} points from {before}, and left {each.balance}."
            yield Finding("ledger_unequal", member.subject, said)
        before = each.balance
    if before is not None and before != engine.balance:
        said = f"The transactions end at {before} points, and the card has {engine.balance}."
        yield Finding("ledger_unequal", member.subject, said, engine.transactions[0].at)


def _too_early(member: MemberRow, engine: Engine) -> Iterator[Finding]:
    """Orders that were PAID before there was a card to earn on. What else earns nothing, a programme may want so."""
    given = [each.at for each in engine.published if each.code == member.card]
    named = {each.order_id for each in engine.transactions}
    for order_id, at in sorted(member.delivered.items()):
        if given and at < given[0] and order_id not in named:
            said = f"It was paid in Voucherify at {at:%H:%M:%S}, the card was given at {given[0]:%H:%M:%S} UTC."
            yield Finding("earned_nothing", f"order {order_id}", said, given[0])


def _movements(member: MemberRow, engine: Engine) -> Iterator[Finding]:
    theirs = {each.id: each for each in engine.transactions}
    for identifier, transaction in theirs.items():
        movement = member.movements.get(identifier)
        about = f"order {transaction.order_id}" if transaction.order_id else member.subject
        if movement is None:
            said = f"{identifier} moved {transaction.points} points, and we did not hear of it."
            yield Finding("movement_missing", about, said, transaction.at)
        elif movement.points != transaction.points:
            said = f"{identifier} moved {transaction.points} points, and we have {movement.points}."
            yield Finding("movement_unequal", about, said)
    for identifier in sorted(member.movements.keys() - theirs.keys()):
        movement = member.movements[identifier]
        said = f"We heard of {identifier} ({movement.points} points), and the card has no such transaction."
        yield Finding("movement_unknown", member.subject, said, movement.at)


def _balance(member: MemberRow, engine: Engine) -> Iterator[Finding]:
    balance = member.loyalty.get("balance")
    if balance == engine.balance or member.loyalty.get("unsettled"):
        return  # what is not settled is asked for again: it is listed as open
    as_of = member.loyalty.get("as_of")
    moments = [member.created_at, *(each.at for each in engine.transactions[:1])]
    moments += [datetime.fromisoformat(as_of)] if as_of else []
    said = f"The profile says {balance} points, the card {engine.balance}."
    yield Finding("balance_unequal", member.subject, said, max(moments))


def _operations(member: MemberRow, engine: Engine) -> Iterator[Finding]:
    for operation in member.operations:
        done = [each for each in engine.transactions if operation.name in each.names]
        subject = f"points {operation.id}"
        if not done:
            said = "It is done, and the card has no transaction of it."
            yield Finding("points_missing", subject, said, operation.at)
        elif len(done) > 1:
            said = f"It made {len(done)} transactions: {', '.join(each.id for each in done)}."
            yield Finding("points_doubled", subject, said)
        elif operation.points is not None and done[0].points != operation.points:
            said = f"It asked for {operation.points} points, and {done[0].id} moved {done[0].points}."
            yield Finding("points_unequal", subject, said)
