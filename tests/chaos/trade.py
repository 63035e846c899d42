"""Generated trade: shoppers who join, buy, use coupons and spend points, each by a random stream of its own.

Their clients are as patient as a real till: they ask again with the same Idempotency-Key until there is a final answer.
"""

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx

from tests.house import House

GOODS = ("coffee", "espresso", "tea", "croissant", "sandwich", "salad", "cookie", "lemonade", "fuel", "wash-full")
REGISTERS = ("warsaw/1", "warsaw/2", "new-york/1", "lima/2")
AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers that are not final: the till asks again."""
PATIENCE = 120.0
"""Seconds for which somebody waits at a till. Trouble never lasts so long."""


@dataclass
class Books:
    """What all shoppers were told. A till's memory is what the books of the house are held against."""

    paid: dict[str, str] = field(default_factory=dict)
    """Order id by idempotency key."""
    refused: dict[str, str] = field(default_factory=dict)
    """Why, by idempotency key."""
    with_coupon: int = 0
    members: dict[str, str] = field(default_factory=dict)
    """Member id by phone."""
    moved: dict[str, str] = field(default_factory=dict)
    """Rewards and adjustments: their status by idempotency key."""
    repeated: int = 0
    """Requests sent again on purpose after their answer, or twice at once."""
    asked_again: int = 0
    """Requests sent again for want of a final answer."""
    wrong: list[str] = field(default_factory=list)
    """Answers that no till should get."""


@dataclass
class Shopper:
    """One thread of trade, with members, keys and moods of its own."""

    house: House
    books: Books
    name: str
    closing: threading.Event
    members: list[str] = field(default_factory=list)
    _count: int = 0

    def __post_init__(self) -> None:
        self.random = random.Random(self.name)

    def run(self) -> None:
        """Trade until closing time; what was begun is brought to its end."""
        while not self.closing.is_set():
            deed = self.random.choices(
                (self.join, self.buy, self.buy_at_two_tills, self.get_reward, self.get_points), (7, 60, 15, 10, 5)
            )[0]
            try:
                (self.join if not self.members else deed)()
            except Exception as error:  # noqa: BLE001 - a thread's error must reach the test
                self.books.wrong.append(f"{self.name}: {error!r}")
            time.sleep(self.random.uniform(0.0, 0.15))

    def join(self) -> None:
        """Somebody joins, now and then at two tills at once: one phone number is one member."""
        phone = f"+4860{self.random.randrange(10**6, 10**7)}"
        body = {"phone": phone, "first_name": self.random.choice(("Mia", "Noah", "Ines", "Zoë"))}
        ids = {
            answer.json()["id"] if "id" in answer.json() else answer.json()["member"]["id"]
            for answer in self._several(
                [
                    lambda: self._ask("POST", "/members", body),
                    *([lambda: self._ask("POST", "/phone/members", body, by=None)] if self._chance(0.2) else []),
                ]
            )
        }
        if len(ids) != 1 or self.books.members.setdefault(phone, next(iter(ids))) not in ids:
            self.books.wrong.append(f"{self.name}: {phone} is several members: {ids}")
        self.members += ids

    def buy(self) -> None:
        """A sale, with a coupon if there is one and the mood is right; sometimes repeated, sometimes twice at once."""
        member = self._member()
        coupon = self._coupon(member) if member and self._chance(0.8) else None
        self._sell([(self._key(), member, self._basket(), coupon)] * (2 if self._chance(0.15) else 1))

    def buy_at_two_tills(self) -> None:
        """One member at two tills at the same moment, with the same coupon: it takes something off once."""
        member = self.random.choice(self.members)
        coupon = self._coupon(member)
        paid = self._sell([(self._key(), member, self._basket(), coupon) for _ in range(2)])
        if coupon and paid > 1:
            self.books.wrong.append(f"{self.name}: {coupon} was used {paid} times")

    def get_reward(self) -> None:
        member = self.random.choice(self.members)
        token = self._token(member)
        offered = self._ask("GET", "/phone/rewards", by=token).json()
        if offered:
            self._move(f"/phone/rewards/{offered[0]['id']}/purchases", {}, token)

    def get_points(self) -> None:
        """An operator is sorry for something."""
        body = {"points": self.random.choice((5, 25, 60)), "reason": "Sorry for the cold coffee"}
        self._move(f"/members/{self.random.choice(self.members)}/points", body, self.house.admin_token)

    def _sell(self, sales: list[tuple[str, str | None, list[dict[str, Any]], str | None]]) -> int:
        """Make these sales at once; how many different orders were paid."""
        made = [(key, coupon, self._order(key, member, lines, coupon)) for key, member, lines, coupon in sales]
        self.books.repeated += len(sales) - len({key for key, *_ in sales})
        orders: set[str] = set()
        for (key, coupon, _), answer in zip(made, self._several([ask for *_, ask in made]), strict=True):
            if answer.status_code == 201:
                order_id = answer.json()["id"]
                if self.books.paid.setdefault(key, order_id) != order_id:
                    self.books.wrong.append(f"{self.name}: {key} is two orders")
                self.books.with_coupon += bool(coupon) and order_id not in orders
                orders.add(order_id)
            elif answer.status_code == 422:
                self.books.refused[key] = answer.json()["detail"]
            else:
                self.books.wrong.append(f"{self.name}: {answer.status_code} {answer.text}")
        if self._chance(0.1):
            key, _, ask = made[0]
            self.books.repeated += 1
            again = ask()
            if again.status_code == 201 and again.json()["id"] != self.books.paid.get(key):
                self.books.wrong.append(f"{self.name}: {key} became another order: {again.text}")
        return len(orders)

    def _order(
        self, key: str, member: str | None, lines: list[dict[str, Any]], coupon: str | None
    ) -> Callable[[], httpx.Response]:
        body = {"member_id": member, "lines": lines, "coupon": coupon}
        register = random.Random(key).choice(REGISTERS)  # a key counts within its register
        return lambda: self._ask("POST", "/pos/orders", body, key=key, by=self.house.register_keys[register])

    def _move(self, path: str, body: dict[str, Any], token: str) -> None:
        key = self._key()
        while True:
            answer = self._ask("POST", path, body, key=key, by=token)
            if answer.status_code != 202:
                break
            # It is being looked up; whoever asked looks again in a moment, or reads it on the phone.
            self.books.moved[key] = "PENDING"
            if self.closing.wait(1.0):
                return
        if answer.status_code not in {201, 422}:
            self.books.wrong.append(f"{self.name}: {path} {answer.status_code} {answer.text}")
        self.books.moved[key] = "DONE" if answer.status_code == 201 else "REFUSED"

    def _several(self, asks: list[Callable[[], httpx.Response]]) -> list[httpx.Response]:
        if len(asks) == 1:
            return [asks[0]()]
        with ThreadPoolExecutor(len(asks)) as pool:
            return [answer.result() for answer in [pool.submit(ask) for ask in asks]]

    def _ask(
        self, method: str, path: str, body: Any = None, *, key: str | None = None, by: str | None = "till"
    ) -> httpx.Response:
        """Ask until the answer is final."""
        token = self.house.register_key if by == "till" else by
        headers = {"authorization": f"Bearer {token}"} if token else {}
        headers |= {"idempotency-key": key} if key else {}
        until = time.monotonic() + PATIENCE
        while True:
            said = "no answer"
            try:
                answer = httpx.request(method, self.house.web + path, json=body, headers=headers, timeout=6)
                if answer.status_code not in AGAIN:
                    return answer
                said = f"{answer.status_code} {answer.text}"
            except httpx.TransportError as error:
                said = repr(error)
            if time.monotonic() > until:
                raise TimeoutError(f"{method} {path} {key}: {said}")
            self.books.asked_again += 1
            time.sleep(0.3)

    def _coupon(self, member: str) -> str | None:
        coupons = self._ask("GET", "/phone/me", by=self._token(member)).json()["coupons"]
        usable = [coupon["code"] for coupon in coupons if coupon["redeemed_at"] is None]
        return self.random.choice(usable) if usable else None

    def _token(self, member: str) -> str:
        phone = next(phone for phone, known in self.books.members.items() if known == member)
        token: str = self._ask("POST", "/phone/sign-in", {"phone": phone}, by=None).json()["token"]
        return token

    def _member(self) -> str | None:
        return None if self._chance(0.1) else self.random.choice(self.members)

    def _basket(self) -> list[dict[str, Any]]:
        return [
            {"product_id": product, "quantity": self.random.randint(1, 3)}
            for product in self.random.sample(GOODS, self.random.randint(1, 4))
        ]

    def _key(self) -> str:
        self._count += 1
        return str(UUID(int=random.Random(f"{self.name}:{self._count}").getrandbits(128)))

    def _chance(self, share: float) -> bool:
        return self.random.random() < share
