"""The demo shop, Corner & Co.: six places and what they sell. Replace it by your own."""

from typing import Any

_PLACES = (
    ("new-york", "New York", 888, False, "America/New_York", "en-US"),
    ("london", "London", 2000, True, "Europe/London", "en-GB"),
    ("paris", "Paris", 1000, True, "Europe/Paris", "fr-FR"),
    ("warsaw", "Warsaw", 800, True, "Europe/Warsaw", "pl-PL"),
    ("vancouver", "Vancouver", 500, False, "America/Vancouver", "en-CA"),
    ("lima", "Lima", 1800, True, "America/Lima", "es-PE"),
)

LOCATIONS: list[dict[str, Any]] = [
    {
        "id": id_,
        "name": name,
        "brand": "Corner & Co.",
        "currency": "USD",
        "tax_rate": rate,
        "tax_included": included,
        "time_zone": zone,
        "locale": locale,
        "registers": 2,
    }
    for id_, name, rate, included, zone, locale in _PLACES
]

_GOODS = (
    ("coffee", "Coffee", "Flat white", 380),
    ("espresso", "Coffee", "Espresso", 240),
    ("tea", "Coffee", "Mint tea", 290),
    ("croissant", "Food", "Butter croissant", 260),
    ("sandwich", "Food", "Cheese sandwich", 590),
    ("salad", "Food", "Lentil salad", 740),
    ("cookie", "Food", "Oat cookie", 210),
    ("water", "Drinks", "Sparkling water", 180),
    ("lemonade", "Drinks", "Lemonade", 320),
    ("fuel", "Fuel", "Unleaded, 10 litres", 1650),
    ("wash-basic", "Car wash", "Basic wash", 900),
    ("wash-full", "Car wash", "Full wash", 1450),
)

PRODUCTS: list[dict[str, Any]] = [
    {"id": id_, "category": category, "name": name, "price": price} for id_, category, name, price in _GOODS
]

MEMBERS: list[dict[str, str]] = [
    {"phone": "+48601234567", "first_name": "Mia", "last_name": "Nowak"},
    {"phone": "+14165550142", "first_name": "Noah", "last_name": "Clark"},
    {"phone": "+33612345678", "first_name": "Ines", "last_name": "Laurent"},
]
