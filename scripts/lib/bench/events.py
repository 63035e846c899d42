"""The messages that the rows send: of the size and the kind that a shop's Segment libraries send."""

from typing import Any
from uuid import uuid4

_CONTEXT = {
    "library": {"name": "analytics-python", "version": "2.3.5"},
    "ip": "203.0.113.7",
    "locale": "en-GB",
    "timezone": "Europe/London",
    "userAgent": "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Mobile",
    "page": {"url": "https://shop.example/drinks/lemonade", "path": "/drinks/lemonade", "title": "Lemonade"},
}


def product_viewed(number: int, people: int) -> dict[str, Any]:
    """What most of a shop's traffic is like: 0.9 KB that no loyalty programme asks for."""
    return _message(
        number,
        people,
        "track",
        event="Product Viewed",
        properties={
            "product_id": f"p-{number % 200}",
            "sku": f"sku-{number % 200}",
            "category": "Drinks",
            "name": "Lemonade",
            "brand": "Corner & Co.",
            "price": 3.2,
            "currency": "USD",
            "quantity": 1,
            "position": number % 12,
        },
    )


def order_completed(number: int, people: int, total: float = 9.7) -> dict[str, Any]:
    """A small order of two lines: below the limit from which the shipped function gives a coupon."""
    order_id = str(uuid4())
    return _message(
        number,
        people,
        "track",
        event="Order Completed",
        properties={
            "order_id": order_id,
            "currency": "USD",
            "total": total,
            "loyalty": {"code": f"CC-{number}"},
            "products": [
                {"product_id": "coffee", "name": "Flat white", "category": "Coffee", "price": 3.8, "quantity": 1},
                {"product_id": "sandwich", "name": "Cheese sandwich", "category": "Food", "price": 5.9, "quantity": 1},
            ],
            "metadata": {"order_id": order_id, "location_id": "warsaw", "source": "till"},
        },
    )


def identify(number: int, people: int) -> dict[str, Any]:
    """A member who is known by name, phone and e-mail."""
    return _message(
        number,
        people,
        "identify",
        traits={
            "first_name": "Mia",
            "last_name": "Nowak",
            "email": f"m{number % people}@shop.example",
            "phone": f"+4860{number % people:07}",
            "registered_customer": True,
            "address": {"city": "Warsaw", "country": "PL", "postal_code": "00-001"},
        },
    )


def _message(number: int, people: int, type_: str, **fields: Any) -> dict[str, Any]:
    return {
        "type": type_,
        "messageId": str(uuid4()),
        "userId": f"u-{number % people}",
        "timestamp": f"2026-01-01T12:{number // 1000 % 60:02}:00.{number % 1000:03}Z",
        "context": _CONTEXT,
        **fields,
    }
