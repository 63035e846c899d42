"""The dashboard without a browser: what every page answers, who may see keys, who may press buttons."""

import httpx
import pytest

from tests.sandbox.programme import buy, coupon, coupons, join, loyalty, send

AT = "/sandbox/dashboard"
PAGES = ("/sandbox", f"{AT}/customers", f"{AT}/campaigns", f"{AT}/webhooks", f"{AT}/requests")


async def page(api: httpx.AsyncClient, path: str, expect: int = 200, headers: dict[str, str] | None = None) -> str:
    answer = await api.get(path, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (expect, "text/html; charset=utf-8"), answer.text
    return answer.text


@pytest.mark.parametrize("path", PAGES)
async def test_every_page_opens_on_an_empty_sandbox(api: httpx.AsyncClient, path: str) -> None:
    """Nothing there yet is a state of its own, and says how something comes."""
    await send(api, "POST", "/sandbox/webhooks", {"target_urls": []})
    shown = await page(api, path)
    assert "not Voucherify" in shown
    assert path == "/sandbox" or 'class="empty"' in shown


async def test_what_a_customer_is_called_is_not_html(api: httpx.AsyncClient) -> None:
    """Names, codes and bodies come from anywhere; on a page they are text."""
    await send(api, "POST", "/v1/customers", {"source_id": "u-1", "name": "<script>alert(1)</script>"})
    [customer] = (await send(api, "GET", "/v1/customers"))["customers"]
    for path in (f"{AT}/customers?q=<script>", f"{AT}/customers/{customer['id']}", f"{AT}/requests", f"{AT}/webhooks"):
        shown = await page(api, path)
        assert "<script>" not in shown
        assert "&lt;script&gt;" in shown


@pytest.mark.parametrize(("wanted", "found"), [("%", 1), ("_", 0), ("zoë", 1), ("X.IO", 2), ("u-2", 1), ("nobody", 0)])
async def test_customers_are_searched(api: httpx.AsyncClient, wanted: str, found: int) -> None:
    """By part of the name, the e-mail and the ids, in any case; nothing is a pattern."""
    await send(api, "POST", "/v1/customers", {"source_id": "u-1", "name": "Zoë 100%", "email": "zoe@x.io"})
    await send(api, "POST", "/v1/customers", {"source_id": "u-2", "name": "Bo", "email": "bo@x.io"})
    answer = await api.get(f"{AT}/customers", params={"q": wanted})
    assert answer.text.count(f'href="{AT}/customers/cust_') == found


async def test_long_lists_have_pages(api: httpx.AsyncClient) -> None:
    """Twenty-five on each, with ways to both sides that keep the search."""
    items = [{"source_id": f"u-{number}", "name": f"Ann {number}"} for number in range(30)]
    await send(api, "POST", "/v1/customers/bulk/async", items, 202)
    first, second = await page(api, f"{AT}/customers?q=ann"), await page(api, f"{AT}/customers?q=ann&page=2")
    assert [each.count(f'href="{AT}/customers/cust_') for each in (first, second)] == [25, 5]
    assert ("q=ann&amp;page=2" in first, "q=ann&amp;page=1" in second) == (True, True)


async def test_a_card_and_a_code_have_their_pages(api: httpx.AsyncClient) -> None:
    """Balance, ledger and images of a card; what a code takes off; a campaign's codes by how they begin."""
    await loyalty(api, 5)
    await coupons(api, vouchers_count=3)
    card, code = await join(api), await coupon(api)
    await buy(api, "o-1", 1000)
    voucher = await send(api, "GET", f"/v1/vouchers/{card}")
    shown = await page(api, f"{AT}/vouchers/{voucher['id']}")
    assert ("15 points" in shown, "+10" in shown, f"/assets/qr/{voucher['id']}" in shown) == (True, True, True)
    assert "10 % off" in await page(api, f"{AT}/vouchers/{code}")
    campaign = (await send(api, "GET", f"/v1/vouchers/{code}"))["campaign_id"]
    assert (await page(api, f"{AT}/campaigns/{campaign}")).count(f'href="{AT}/vouchers/') >= 3
    assert (await page(api, f"{AT}/campaigns/{campaign}?q={code}")).count(f'href="{AT}/vouchers/') == 1
    assert "No codes begin with" in await page(api, f"{AT}/campaigns/{campaign}?q=%25")


@pytest.mark.parametrize("path", ["customers/none", "campaigns/none", "vouchers/none"])
async def test_what_is_not_there_is_a_page_too(api: httpx.AsyncClient, path: str) -> None:
    """In words and with a way back, not as JSON."""
    assert "Cannot find" in await page(api, f"{AT}/{path}", expect=404)


async def test_keys_are_shown_only_on_the_machine_itself(api: httpx.AsyncClient) -> None:
    """Asked by another name (a rebound one, say) or through a proxy, the page says where they stand instead."""
    assert "app-token" in await page(api, "/sandbox?keys=shown")
    for headers in ({"host": "sandbox.example.com"}, {"x-forwarded-for": "10.0.0.1"}, {"forwarded": "for=10.0.0.1"}):
        shown = await page(api, "/sandbox?keys=shown", headers=headers)
        assert ("app-token" in shown, "install.json" in shown) == (False, True)
    assert (await api.get("/sandbox?keys=shown")).headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/sandbox/reset"),
        ("DELETE", "/sandbox/requests"),
        ("POST", f"{AT}/reset"),
        ("POST", f"{AT}/faults/clear"),
    ],
)
async def test_another_sites_page_presses_no_button(api: httpx.AsyncClient, method: str, path: str) -> None:
    """A browser says where a request comes from; programs say nothing and may."""
    await send(api, "POST", "/v1/customers", {"source_id": "u-1"})
    answer = await api.request(method, path, headers={"sec-fetch-site": "cross-site"})
    assert answer.status_code == 403
    await send(api, "GET", "/v1/customers/u-1")
    assert (await api.request(method, path, headers={"sec-fetch-site": "same-origin"})).status_code < 400


async def test_a_form_that_makes_no_sense_says_why(api: httpx.AsyncClient) -> None:
    """The page comes again with the reason; nothing has changed."""
    for path, form, words in (
        ("clock", {"set": "soon"}, "cannot be recognized as a ISO-8601"),
        ("clock", {}, "must have one of"),
        ("limits", {"calls_per_hour": "many"}, "must be a number of calls"),
        ("switches", {"latency_ms": "-1"}, "latency_ms must be milliseconds"),
        ("faults", {"kind": "fail_next", "count": "0"}, "fail_next.count must be"),
        ("faults", {"kind": "explode"}, "there is no fault"),
        ("webhooks", {"target_urls": "ftp://x"}, "must be an address"),
    ):
        answer = await api.post(f"{AT}/{path}", data=form)
        assert answer.status_code == 400
        assert words in answer.text.replace("&#39;", "'"), (path, form)
    assert (await send(api, "GET", "/sandbox/faults"))["fail_next"] == []
    assert (await send(api, "GET", "/sandbox/clock"))["offset_seconds"] == 0


async def test_a_limit_and_a_fault_come_from_a_form(api: httpx.AsyncClient) -> None:
    """What the forms send is what the addresses take: numbers, an empty field for none, a fault beside another."""
    form = {"kind": "delay_next", "path": "/v1/orders", "milliseconds": "5", "count": "", "method": "GET"}
    assert (await api.post(f"{AT}/faults", data=form)).status_code == 303
    await api.post(f"{AT}/faults", data={"kind": "delay_next", "path": "/v1/x", "rate": "0.5", "count": "3"})
    planned = (await send(api, "GET", "/sandbox/faults"))["delay_next"]
    assert [(each["path"], each["count"], each["rate"]) for each in planned] == [
        ("/v1/orders", None, 1.0),
        ("/v1/x", 3, 0.5),
    ]
    await api.post(f"{AT}/limits", data={"calls_per_minute": "7", "calls_per_hour": ""})
    assert await send(api, "GET", "/sandbox/limits") == {"calls_per_minute": 7, "calls_per_hour": None}
