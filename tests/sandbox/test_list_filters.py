"""Filters of lists: they give what a look at every row gives, they refuse what is not a filter, and they are only SQL
that we wrote."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import httpx
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from app.sandbox import operators
from tests.sandbox.programme import LOYALTY, adjust, coupon, coupons, join, loyalty, redeem, send
from tests.sandbox.published import check_answer
from tests.sandbox.serving import KEYS

NOW = "2027-06-01T00:00:00Z"
PERCENT = {"type": "PERCENT", "percent_off": 10}
WORDS = ("A", "AB", "ab", "B%", "_", "x'y", 'q"', "")
NUMBERS = ("1", "2", "2.5", "-3")
DAYS = ("1", "30", "90", "-5")
DATES = ("2027-05-01", "2027-03-02T12:00:00Z", "2027-07-01T00:00:00.000Z")
TEXTUAL = ("$is", "$is_not", "$in", "$not_in", "$starts_with", "$ends_with", "$contains", "$not_contain")
PRESENCE = ("$has_value", "$is_unknown")
_VALUES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    **dict.fromkeys(("code", "categories", "metadata.word", "metadata.words"), (TEXTUAL, WORDS)),
    **dict.fromkeys(("created_at", "start_date", "expiration_date"), (("$after", "$before"), DATES)),
    "created_date": (("$more_than", "$less_than"), DAYS),
    "metadata.size": (("$more_than", "$less_than", "$more_than_equal", "$is", "$is_not", "$in"), NUMBERS),
    "metadata.mixed": (("$is", "$not_in"), ("1", "1.0", "true", "TRUE", "a", "")),
    "redemption.quantity": (("$is", "$less_than_or_equal"), ("1", "3")),
    "active": (("$is", "$is_not"), ("true", "FALSE")),
}
"""Fields of vouchers with some of their conditions and values for these."""


@st.composite
def wanted(draw: st.DrawFn) -> list[tuple[str, str, list[str]]]:
    """Some conditions, each with its values."""
    made: dict[tuple[str, str], list[str]] = {}
    for name in draw(st.lists(st.sampled_from(sorted(_VALUES)), min_size=1, max_size=3, unique=True)):
        conditions, values = _VALUES[name]
        if name != "active":
            conditions = (*conditions, *PRESENCE)
        for condition in draw(st.lists(st.sampled_from(conditions), min_size=1, max_size=2, unique=True)):
            given_ = (
                st.just([""]) if condition in PRESENCE else st.lists(st.sampled_from(values), min_size=1, max_size=2)
            )
            made[name, condition] = draw(given_)
    return [(name, condition, values) for (name, condition), values in made.items()]


def value_of(voucher: Mapping[str, Any], name: str) -> Any:
    first, _, key = name.partition(".")
    if key:
        return voucher[first].get(key)
    return voucher[{"categories": "category", "created_date": "created_at"}.get(name, name)]


def fits(voucher: Mapping[str, Any], filters: list[tuple[str, str, list[str]]], *, either: bool) -> bool:
    """A look at one row, by the rules for conditions that segments and validation rules go by too."""
    by_field: dict[str, dict[str, Any]] = {}
    for name, condition, values in filters:
        by_field.setdefault(name, {})[condition] = values
    now = datetime.fromisoformat(NOW).astimezone(UTC)
    found = [operators.satisfied(conditions, value_of(voucher, name), now) for name, conditions in by_field.items()]
    return any(found) if either else all(found)


def query(filters: list[tuple[str, str, list[str]]]) -> list[tuple[str, str]]:
    return [
        (f"filters[{name}][conditions][{condition}]" + (f"[{place}]" if len(values) > 1 else ""), value)
        for name, condition, values in filters
        for place, value in enumerate(values)
    ]


async def some_vouchers(api: httpx.AsyncClient) -> None:
    """Codes with and without dates, categories, limits and all kinds of metadata, made over some months."""
    metadata: list[dict[str, Any]] = [
        {"word": "A", "words": ["ab", "B%"], "size": 1, "mixed": 1},
        {"word": "x'y", "words": [], "size": 2.5, "mixed": "a"},
        {"word": "", "words": ["_"], "size": -3, "mixed": True},
        {"word": 'q"AB', "words": "A", "size": [1, 2], "mixed": [False, 1.0]},
        {"mixed": None},
        {"word": ["A", "_x"], "mixed": ""},
    ]
    for number, code in enumerate(("A", "AB", "abc", "B%", "C_", "x'y")):
        await send(api, "POST", "/sandbox/clock", {"set": f"2027-0{1 + number % 5}-02T12:00:00Z"})
        body: dict[str, Any] = {"type": "DISCOUNT_VOUCHER", "discount": PERCENT, "code": code}
        body["metadata"] = metadata[number]
        if number % 2:
            body |= {"category": WORDS[number], "start_date": f"2027-0{number}-02T12:00:00Z", "active": number > 2}
        if number % 3:
            body |= {"redemption": {"quantity": number}, "expiration_date": "2027-07-01T00:00:00.000Z"}
        await send(api, "POST", "/v1/vouchers", body)
    await send(api, "POST", "/sandbox/clock", {"set": NOW})


async def test_a_filtered_list_is_what_a_look_at_every_row_gives(api: httpx.AsyncClient) -> None:
    """Whatever the fields, conditions, values and the junction, the list has the rows that fit and counts them."""
    await some_vouchers(api)
    rows = (await send(api, "GET", "/v1/vouchers?limit=100"))["vouchers"]
    url = str(api.base_url)

    def run() -> None:
        with httpx.Client(base_url=url, headers=KEYS, timeout=20) as client:

            @settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
            @given(filters=wanted(), either=st.booleans())
            @example(filters=[("categories", "$is_not", ["AB"])], either=False)
            @example(filters=[("metadata.word", "$not_contain", ["A", "'"])], either=False)
            @example(filters=[("created_date", "$more_than", ["30"]), ("metadata.mixed", "$is", ["1"])], either=True)
            def law(filters: list[tuple[str, str, list[str]]], either: bool) -> None:
                junction = [("filters[junction]", "OR" if either else "and")]
                answer = client.get("/v1/vouchers", params=[*query(filters), *junction, ("limit", "100")])
                assert answer.status_code == 200, answer.text
                expected = [row["code"] for row in rows if fits(row, filters, either=either)]
                assert [each["code"] for each in answer.json()["vouchers"]] == expected
                assert answer.json()["total"] == len(expected)

            law()

    await asyncio.to_thread(run)


NO_FILTERS = [
    ("vouchers", "filters[colour][conditions][$is]=x"),
    ("vouchers", "filters[code][conditions][$near]=x"),
    ("vouchers", "filters[code][conditions][$after]=2027-01-01"),
    ("vouchers", "filters[created_at][conditions][$after]=soon"),
    ("vouchers", "filters[created_at][conditions][$more_than]=1.5"),
    ("vouchers", "filters[created_at][conditions][$more_than]=99999999"),
    ("vouchers", "filters[metadata.size][conditions][$more_than]=much"),
    ("vouchers", "filters[metadata.size][conditions][$more_than]=1e999999"),
    ("vouchers", "filters[metadata.][conditions][$is]=1"),
    ("vouchers", "filters[validity_day_of_week][conditions][$is]=7"),
    ("vouchers", "filters[code]=x"),
    ("vouchers", "filters=x"),
    ("vouchers", "filters[junction]=xor"),
    ("vouchers", "filters[code][conditions][$is]=a%00b"),
    ("vouchers", "&".join(f"filters[code][conditions][$in][{place}]=x" for place in range(201))),
    ("vouchers", "&".join(f"filters[metadata.{place}][conditions][$is]=x" for place in range(51))),
    ("campaigns", "filters[name][conditions][$is]=x"),
    ("campaigns", "filters[active][conditions][$is]=true"),
    ("redemptions", "filters[amount][conditions][$is]=1"),
    ("publications", "filters[code][conditions][$is]=1"),
]


async def test_what_is_no_filter_is_refused(api: httpx.AsyncClient) -> None:
    """A field, condition or value that the list has not is a 400 that names it, not a list of everything."""
    for path, bad in NO_FILTERS:
        answer = await api.get(f"/v1/{path}?{bad}")
        assert (answer.status_code, answer.json()["key"]) == (400, "invalid_query_params"), (path, bad)
        assert "filters" in answer.json()["details"], (path, bad)


async def test_a_filter_is_never_read_as_sql(api: httpx.AsyncClient) -> None:
    """Quotes, placeholders and statements in names and values are looked for as they are."""
    evil = "x') OR true; DROP TABLE voucher; --$1{key}"
    body = {"type": "DISCOUNT_VOUCHER", "discount": PERCENT, "code": "EVIL", "metadata": {evil: evil}, "category": evil}
    await send(api, "POST", "/v1/vouchers", body)
    await send(api, "POST", "/v1/vouchers", {**body, "code": "GOOD", "metadata": {}, "category": "x"})
    for name in (f"metadata.{evil}", "categories"):
        for condition in ("$is", "$contains", "$starts_with"):
            params = {f"filters[{name}][conditions][{condition}]": evil}
            answer = await api.get("/v1/vouchers", params=params)
            assert [each["code"] for each in answer.json()["vouchers"]] == ["EVIL"], (name, condition)
    assert (await send(api, "GET", "/v1/vouchers"))["total"] == 2


async def names_of(api: httpx.AsyncClient, path: str, ref: str, name: str, filters: str) -> list[Any]:
    answer = await send(api, "GET", f"/v1/{path}?{filters}")
    return [each[name] for each in answer[ref]]


async def test_campaigns_are_filtered_by_their_fields(api: httpx.AsyncClient) -> None:
    """By name, id, kind, state and dates; `BULK` stands for two types; days leave in what is valid on all of them."""
    await send(api, "POST", "/sandbox/clock", {"set": NOW})
    made = await coupons(api, "Early", expiration_date="2027-05-01T00:00:00Z", category="c")
    await coupons(api, "Monday", validity_day_of_week=[1], type="STATIC")
    await coupons(api, "Later", start_date="2027-07-01T00:00:00Z", type="STANDALONE")
    await loyalty(api)
    await send(api, "POST", f"/v1/campaigns/{LOYALTY}/disable")
    for filters, names in {
        "filters[campaigns][conditions][$in][0]=Early&filters[campaigns][conditions][$in][1]=Later": ["Later", "Early"],
        f"filters[campaigns_id][conditions][$is]={made['id']}": ["Early"],
        "filters[active][conditions][$expired]=": ["Early"],
        "filters[active][conditions][$active]=": ["Monday"],
        "filters[active][$disabled]=": [LOYALTY],
        "filters[status][conditions][before_start]=": ["Later"],
        "filters[type][conditions][$in]=BULK": [LOYALTY, "Monday", "Early"],
        "filters[voucher_type][conditions][$is]=LOYALTY_CARD": [LOYALTY],
        "filters[validity_day_of_week][conditions][$is]=2": [LOYALTY, "Later", "Early"],
        "filters[expiration_date][conditions][$before]=2027-06-01": ["Early"],
        "filters[categories][conditions][$has_value]=": ["Early"],
        "filters[is_referral_code][conditions][$is]=TRUE": [],
        "filters[start_date][conditions][$has_value]=&filters[categories][conditions][$is]=c&filters[junction]=or": [
            "Later",
            "Early",
        ],
    }.items():
        assert await names_of(api, "campaigns", "campaigns", "name", f"{filters}&order=-created_at") == names, filters
    answer = await send(api, "GET", "/v1/campaigns?filters[campaigns][conditions][$is]=Early")
    check_answer("GET", "/v1/campaigns", answer)


async def test_redemptions_and_publications_are_filtered(api: httpx.AsyncClient) -> None:
    """By code, result, what failed, whose and of which campaign: the ways in which an app looks for what it did."""
    await coupons(api)
    await coupons(api, "Other")
    one, two = await coupon(api), await coupon(api, "u-2", "Other")
    done = (await redeem(api, one, amount=1000))["redemptions"][0]
    await redeem(api, one, amount=1000, expect=400)
    await redeem(api, two, amount=1000, customer="u-2")
    found = [
        (f"filters[voucher_code][conditions][$is]={one}&filters[result][conditions][$is]=SUCCESS", [done["id"]]),
        (f"filters[related_object_id][conditions][$is]={done['voucher']['id']}&result=SUCCESS", [done["id"]]),
        (f"filters[customer_id][conditions][$in][]={done['customer_id']}&result=SUCCESS", [done["id"]]),
        ("filters[campaign_name][conditions][$starts_with]=10&result=SUCCESS", [done["id"]]),
        ("filters[object][conditions][$is]=redemption_rollback", []),
        ("filters[user_login][conditions][$has_value]=", []),
    ]
    for filters, ids in found:
        assert await names_of(api, "redemptions", "redemptions", "id", filters) == ids, filters
    answer = await send(api, "GET", "/v1/redemptions?filters[failure_code][conditions][$is]=quantity_exceeded")
    assert [each["result"] for each in answer["redemptions"]] == ["FAILURE"]
    check_answer("GET", "/v1/redemptions", answer)
    holders = {
        "filters[campaign_name][conditions][$is]=Other": ["u-2"],
        f"filters[related_object_id][conditions][$is]={done['voucher']['id']}": ["u-1"],
        f"filters[related_object_id][conditions][$is_not]={done['voucher']['id']}": ["u-2"],
        "filters[voucher_type][conditions][$is]=GIFT_VOUCHER": [],
        "filters[source_id][conditions][$is_unknown]=": ["u-2", "u-1"],
    }
    for filters, who in holders.items():
        assert await names_of(api, "publications", "publications", "tracking_id", filters) == who, filters
    customer = done["customer_id"]
    only = f"filters[published_for_customer_id][conditions][$is]={customer}"
    assert await names_of(api, "vouchers", "vouchers", "code", only) == [one]


async def test_transactions_and_the_wallet_are_filtered(api: httpx.AsyncClient) -> None:
    """A movement by its id, those of one card, those before a moment; the wallet by campaign and kind."""
    await loyalty(api)
    await coupons(api)
    card, other = await join(api), await join(api, "u-2")
    await coupon(api)
    await adjust(api, card, 5)
    await adjust(api, other, 7)
    voucher = (await send(api, "GET", f"/v1/vouchers/{card}"))["id"]
    [first] = (await send(api, "GET", f"/v1/vouchers/{card}/transactions"))["data"]
    for path in (f"campaigns/{LOYALTY}/transactions", f"loyalties/{LOYALTY}/transactions"):
        by_card = f"filters[voucher_id][conditions][$is]={voucher}"
        assert await names_of(api, path, "data", "id", by_card) == [first["id"]]
        assert len(await names_of(api, path, "data", "id", f"filters[id][conditions][$is_not]={first['id']}")) == 1
    path = f"loyalties/members/{card}/transactions"
    assert await names_of(api, path, "data", "id", "filters[created_at][conditions][$before]=2020-01-01") == []
    assert await names_of(api, path, "data", "id", f"filters[id][conditions][$is]={first['id']}") == [first["id"]]
    wallet = "customers/u-1/redeemables"
    for filters, kinds in {
        "filters[campaign_type][conditions][$is]=LOYALTY_PROGRAM": ["LOYALTY_CARD"],
        "filters[voucher_type][conditions][$not_in][0]=LOYALTY_CARD": ["DISCOUNT_VOUCHER"],
        "filters[holder_role][conditions][$is]=REFERRER": [],
        f"filters[redeemable_id][conditions][$is]={voucher}": ["LOYALTY_CARD"],
    }.items():
        assert await names_of(api, wallet, "data", "voucher_type", filters) == kinds, filters
    await send(api, "GET", f"/v1/{wallet}?filters[colour][conditions][$is]=x", expect=400)
