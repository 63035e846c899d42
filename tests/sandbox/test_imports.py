"""Vouchers, customers, products and SKUs out of lists and CSV files: whole or not at all, and what failed is named."""

import asyncio
import contextlib
from typing import Any

import httpx
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from app.sandbox.app import Sandbox
from app.sandbox.csv_files import MOST_LINES, number, parsed
from app.sandbox.errors import Failure
from app.sandbox.read import LARGEST
from tests.sandbox.programme import COUPONS, LOYALTY, coupon, coupons, join, loyalty, redeem, send
from tests.sandbox.published import check_answer
from tests.sandbox.serving import Sink

KILL_WHO_WAITS = """
DO $$ BEGIN
  LOOP
    PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'INSERT INTO async_action%';
    EXIT WHEN FOUND;
    PERFORM pg_stat_clear_snapshot(), pg_sleep(0.01);
  END LOOP;
END $$
"""
"""Waits until somebody is stuck on writing an async action, and ends that connection."""
PERCENT = {"type": "PERCENT", "percent_off": 10}
LIST: list[dict[str, Any]] = [
    {"code": "TEN", "type": "DISCOUNT_VOUCHER", "discount": PERCENT, "category": "new", "metadata": {"a": 1}},
    {"code": "CARD", "type": "GIFT_VOUCHER", "gift": {"amount": 500}, "active": False, "redemption": {"quantity": 3}},
]


async def upload(
    api: httpx.AsyncClient, path: str, *lines: str, expect: int = 200, form: dict[str, str] | None = None
) -> dict[str, Any]:
    """Send a file of these lines; answers the result of the async action, or the error."""
    files = {"file": ("file.csv", "\n".join(lines).encode(), "text/csv")}
    answer = await api.post(f"/v1/{path}", files=files, data=form)
    assert answer.status_code == expect, answer.text
    if expect >= 400:
        error: dict[str, Any] = answer.json()
        return error
    return await result_of(api, answer.json())


async def result_of(api: httpx.AsyncClient, answer: dict[str, Any]) -> dict[str, Any]:
    action = await send(api, "GET", f"/v1/async-actions/{answer['async_action_id']}")
    check_answer("GET", "/v1/async-actions/{asyncActionId}", action)
    assert action["status"] == "DONE"
    result: dict[str, Any] = action["result"]
    return result


def failures(result: dict[str, Any]) -> dict[int, str]:
    assert result["failed_count"] == len(result["failed"])
    return {each["row"]: each["reason"] for each in result["failed"]}


async def codes(api: httpx.AsyncClient) -> list[str]:
    listed = await send(api, "GET", "/v1/vouchers?limit=100&order=code")
    return [each["code"] for each in listed["vouchers"]]


async def test_vouchers_of_a_list_stand_alone(api: httpx.AsyncClient, sink: Sink) -> None:
    """Each has what its item says and no campaign, can be redeemed, and nothing is told of many."""
    result = await result_of(api, await send(api, "POST", "/v1/vouchers/import", LIST, 202))
    assert (result["done_count"], result["failed_count"]) == (2, 0)
    ten, card = await send(api, "GET", "/v1/vouchers/TEN"), await send(api, "GET", "/v1/vouchers/CARD")
    assert (ten["campaign_id"], ten["category"], ten["metadata"], ten["active"]) == (None, "new", {"a": 1}, True)
    assert (card["gift"]["balance"], card["active"], card["redemption"]["quantity"]) == (500, False, 3)
    assert (await redeem(api, "TEN", amount=1000))["order"]["total_amount"] == 900
    await sink.wait(1, "redemption.succeeded")
    assert not sink.of("voucher.created")


async def test_a_category_that_there_is_comes_with_an_imported_code(api: httpx.AsyncClient) -> None:
    """By its name, in a list as in a file; a name that no category has stays a word."""
    new = await send(api, "POST", "/v1/categories", {"name": "new", "hierarchy": 1})
    await send(api, "POST", "/v1/vouchers/import", [*LIST, {**LIST[0], "code": "B", "category": "other"}], 202)
    await upload(api, "vouchers/importCSV", "Code,Voucher Type,Value,Category", "C,GIFT_VOUCHER,5,new", expect=202)
    shown = {code: (await send(api, "GET", f"/v1/vouchers/{code}"))["categories"] for code in ("TEN", "B", "C")}
    assert {code: [each["id"] for each in found] for code, found in shown.items()} == {
        "TEN": [new["id"]],
        "B": [],
        "C": [new["id"]],
    }


BAD_LISTS: list[tuple[Any, str, str]] = [
    ([*LIST, {"type": "GIFT_VOUCHER", "gift": {"amount": 1}}], "invalid_voucher", "Found 1 voucher(s) without"),
    ([*LIST, LIST[0]], "duplicate_key", "1 voucher codes(s) already exist."),
    ([*LIST, {**LIST[0], "code": "THERE"}], "duplicate_key", "1 voucher codes(s) already exist."),
    ([*LIST, {**LIST[0], "code": "X", "discount": {"type": "PERCENT"}}], "invalid_payload", "percent_off"),
    ([*LIST, {**LIST[0], "code": "X", "type": "LOYALTY_CARD"}], "invalid_voucher", "needs a campaign"),
    ([{"code": str(number)} for number in range(MOST_LINES + 1)], "invalid_payload", "10000 items"),
    ({}, "invalid_payload", "array"),
]


async def test_a_bad_item_refuses_the_whole_list(api: httpx.AsyncClient) -> None:
    """Codes without a code, that are there or come twice, and what is not valid: the answer says so, none is made."""
    await send(api, "POST", "/v1/vouchers/THERE", {"type": "DISCOUNT_VOUCHER", "discount": PERCENT})
    for items, key, details in BAD_LISTS:
        error = await send(api, "POST", "/v1/vouchers/import", items, 400)
        assert error["key"] == key
        assert details in error["details"]
    assert await codes(api) == ["THERE"]


async def test_codes_are_imported_to_a_campaign(api: httpx.AsyncClient) -> None:
    """The campaign says what they give; a card's points and a code's own limit may be others."""
    await coupons(api, metadata={"from": "campaign"})
    await loyalty(api, points=50)
    items = [
        {"code": "ONE", "discount": {"type": "AMOUNT"}, "metadata": {"b": 2}},
        {"code": "TWO", "redemption": {"quantity": 7}},
    ]
    await send(api, "POST", f"/v1/campaigns/{COUPONS}/import", items, 202)
    one, two = await send(api, "GET", "/v1/vouchers/ONE"), await send(api, "GET", "/v1/vouchers/TWO")
    assert (one["discount"]["percent_off"], one["metadata"]) == (10, {"from": "campaign", "b": 2})
    assert (one["redemption"]["quantity"], two["redemption"]["quantity"]) == (1, 7)
    cards = [{"code": "C-1", "loyalty_card": {"points": 300}}, {"code": "C-2"}]
    await send(api, "POST", f"/v1/campaigns/{LOYALTY}/import", cards, 202)
    points = [(await send(api, "GET", f"/v1/vouchers/{code}"))["loyalty_card"]["balance"] for code in ("C-1", "C-2")]
    assert points == [300, 50]
    assert await join(api) in {"C-1", "C-2"}
    assert (await send(api, "POST", "/v1/campaigns/none/import", cards, 404))["key"] == "not_found"
    assert (await send(api, "POST", f"/v1/campaigns/{LOYALTY}/import", cards, 400))["details"].startswith("2 voucher")


async def test_two_lists_with_one_code_at_once(api: httpx.AsyncClient) -> None:
    """Of lists that share a code one is imported, whichever comes first, and the others leave nothing."""
    lists = [[{**LIST[0], "code": f"{number}-{each}"} for each in "ab"] + [LIST[0]] for number in range(4)]
    answers = await asyncio.gather(*(api.post("/v1/vouchers/import", json=each) for each in lists))
    assert sorted(answer.status_code for answer in answers) == [202, 400, 400, 400]
    assert len(await codes(api)) == 3


async def test_vouchers_of_a_file(api: httpx.AsyncClient, sink: Sink) -> None:
    """Fields by their headers, the rest as metadata of its type; lines that can't be taken are named."""
    properties = {"size": "number", "vip": "boolean", "tags": {"type": "string", "array": True}}
    await send(api, "POST", "/sandbox/metadata-schemas", {"related_object": "voucher", "properties": properties})
    result = await upload(
        api,
        "vouchers/importCSV",
        "\ufeffCode,Voucher Type,Value,Discount Type,Category,Expiration Date,Redemption Limit,Active,"
        "size,vip,tags,note",
        'A,DISCOUNT_VOUCHER,15,PERCENT,spring,2030-01-01,2,TRUE,2.5,true,"x, y",free text',
        "B,DISCOUNT_VOUCHER,500,AMOUNT,,,,false,,,,",
        "",
        "G,GIFT_VOUCHER,2000,,,,,,,,,",
        "A,DISCOUNT_VOUCHER,15,PERCENT,,,,,,,,",
        ",DISCOUNT_VOUCHER,15,PERCENT,,,,,,,,",
        "C,DISCOUNT_VOUCHER,much,PERCENT,,,,,,,,",
        "D,DISCOUNT_VOUCHER,15,PERCENT,,soon,,,,,,",
        "E,DISCOUNT_VOUCHER,15,PERCENT,,,,,big,,,",
        expect=202,
        form={"webhooks_enable": "true"},
    )
    a = await send(api, "GET", "/v1/vouchers/A")
    assert (a["discount"]["percent_off"], a["category"], a["redemption"]["quantity"]) == (15, "spring", 2)
    assert a["metadata"] == {"size": 2.5, "vip": True, "tags": ["x", "y"], "note": "free text"}
    assert a["expiration_date"] == "2030-01-01T00:00:00.000Z"
    assert (await send(api, "GET", "/v1/vouchers/B"))["active"] is False
    assert (await send(api, "GET", "/v1/vouchers/G"))["gift"]["balance"] == 2000
    assert result["done_count"] == 3
    assert sorted(failures(result)) == [5, 6, 7, 8, 9]
    assert "twice" in failures(result)[5]
    assert await codes(api) == ["A", "B", "G"]
    told = await sink.wait(3, "voucher.created")
    assert {each["data"]["voucher"]["code"] for each in told} == {"A", "B", "G"}


async def test_a_file_changes_codes_that_are_there(api: httpx.AsyncClient, sink: Sink) -> None:
    """One that stands alone takes the line's fields; of a campaign's only `active` and the category change."""
    await coupons(api)
    held = await coupon(api)
    await send(api, "POST", "/v1/vouchers/import", LIST, 202)
    lines = ("Code,Value,Discount Type,Active,word", "TEN,20,PERCENT,false,hi", f"{held},,,false,")
    result = await upload(api, "vouchers/importCSV", *lines, expect=202, form={"webhooks_enable": "true"})
    ten = await send(api, "GET", "/v1/vouchers/TEN")
    assert (ten["discount"]["percent_off"], ten["active"], ten["metadata"]) == (20, False, {"a": 1, "word": "hi"})
    assert (result["done_count"], list(failures(result))) == (1, [2])
    assert [each["data"]["voucher"]["code"] for each in await sink.wait(1, "voucher.updated")] == ["TEN"]
    more = ("Code,Active,Category,word", f"{held},false,old,hi", "NEW,,,hi", "TEN,true,,")
    result = await upload(api, f"campaigns/{COUPONS}/importCSV", *more)
    assert (result["done_count"], list(failures(result))) == (2, [3])
    voucher = await send(api, "GET", f"/v1/vouchers/{held}")
    assert (voucher["active"], voucher["category"], voucher["metadata"]) == (False, "old", {})
    new = await send(api, "GET", "/v1/vouchers/NEW")
    assert (new["discount"]["percent_off"], new["metadata"]) == (10, {"word": "hi"})


async def test_uses_and_points_come_with_a_file(api: httpx.AsyncClient) -> None:
    """A code that was used elsewhere can be used as often as is left; cards bring their points."""
    await loyalty(api, points=50)
    head = "Code,Voucher Type,Value,Discount Type,Redemption Limit,Redeemed Quantity"
    lines = (head, "USED,DISCOUNT_VOUCHER,10,PERCENT,2,1", "OVER,DISCOUNT_VOUCHER,10,PERCENT,2,3")
    assert list(failures(await upload(api, "vouchers/importCSV", *lines, expect=202))) == [2]
    await redeem(api, "USED", amount=100)
    await redeem(api, "USED", amount=100, expect=400)
    await upload(api, f"campaigns/{LOYALTY}/importCSV", "Code,Loyalty Points", "C-1,300", "C-2,")
    points = [(await send(api, "GET", f"/v1/vouchers/{code}"))["loyalty_card"]["balance"] for code in ("C-1", "C-2")]
    assert points == [300, 50]
    await upload(api, "vouchers/importCSV", f"{head},Redeemed Amount", "G,GIFT_VOUCHER,9,,,,3", expect=501)
    await upload(api, "vouchers/importCSV", head, "U,DISCOUNT_VOUCHER,1,UNIT,,", expect=501)


async def test_customers_of_a_file(api: httpx.AsyncClient, sink: Sink) -> None:
    """New ones are made and told of, known ones change and that is not told; the rest of the columns is metadata."""
    await send(
        api, "POST", "/sandbox/metadata-schemas", {"related_object": "customer", "properties": {"level": "number"}}
    )
    await send(
        api, "POST", "/v1/customers", {"source_id": "u-1", "name": "Ann", "phone": "1", "address": {"city": "Oslo"}}
    )
    result = await upload(
        api,
        "customers/importCSV",
        "Source_id,Name,Email,Address_line_1,Birthdate,level,colour",
        "u-2,Bob,b@x.io,Street 1,1990-01-02,3,red",
        "u-1,Anna,,Street 2,,,",
        "u-3,Cleo,,,yesterday,,",
        "u-4,Dan,,,,high,",
        ",Nobody,,,,,",
        expect=202,
    )
    assert (result["done_count"], list(failures(result))) == (3, [3, 4])
    assert result["failed"][0]["source_id"] == "u-3"
    bob, anna = await send(api, "GET", "/v1/customers/u-2"), await send(api, "GET", "/v1/customers/u-1")
    assert (bob["email"], bob["birthdate"], bob["metadata"]) == ("b@x.io", "1990-01-02", {"level": 3, "colour": "red"})
    assert (anna["name"], anna["phone"], anna["address"]["city"]) == ("Anna", "1", "Oslo")
    assert anna["address"]["line_1"] == "Street 2"
    assert (await send(api, "GET", "/v1/customers"))["total"] == 3
    await sink.wait(3, "customer.created")
    assert not sink.of("customer.updated")


async def test_a_catalogue_of_files(api: httpx.AsyncClient) -> None:
    """Products, then their SKUs; of a product that there is the name changes, of a SKU name and price, nothing else."""
    head = "name,source_id,price,attributes,image_url,season"
    result = await upload(
        api, "products/importCSV", head, 'Mug,mug,500,"colour,size",,fall', ",cup,1,,,", "Cup,cup,x,,,"
    )
    assert (result["done_count"], sorted(failures(result))) == (1, [2, 3])
    await upload(api, "products/importCSV", head, "Large mug,mug,900,,,winter")
    mug = await send(api, "GET", "/v1/products/mug")
    assert (mug["name"], mug["price"], mug["attributes"]) == ("Large mug", 500, ["colour", "size"])
    assert mug["metadata"] == {"season": "fall"}
    await send(api, "POST", "/v1/products", {"source_id": "cup", "name": "Cup"})
    head = "product_id,sku,source_id,price,image_url,attributes"
    lines = ("mug,Red,red,600,,\"{'colour':'red'}\"", "mug,Odd,odd,1,,\"{'weight':'1'}\"", "none,X,x,,,", "mug,,,,,")
    result = await upload(api, "skus/importCSV", head, *lines)
    assert (result["done_count"], sorted(failures(result))) == (1, [2, 3, 4])
    result = await upload(api, "skus/importCSV", head, "mug,Redder,red,650,,\"{'colour':'blue'}\"", "cup,R,red,1,,")
    assert "in use by products" in failures(result)[2]
    red = await send(api, "GET", "/v1/skus/red")
    assert (red["sku"], red["price"], red["attributes"]) == ("Redder", 650, {"colour": "red"})


async def test_what_is_no_file_is_refused(api: httpx.AsyncClient) -> None:
    """No form, no file, no headers, no text, a line too long or too many of them: a 400 that says what is wrong."""
    for path in ("vouchers", "customers", "products", "skus"):
        assert (await send(api, "POST", f"/v1/{path}/importCSV", {}, 400))["details"].endswith("property 'file'")
    content = {"content-type": "multipart/form-data; boundary=x"}
    for raw in (b"", b"--x\r\nnonsense", b"\x00\xff"):
        assert (await api.post("/v1/customers/importCSV", content=raw, headers=content)).status_code == 400
    many = ["Source_id", *map(str, range(MOST_LINES + 1))]
    for lines in ([""], ["Name,name"], ["Name", "a,b"], ["Name", '"a'], ["Name", "a\x00"], many):
        error = await upload(api, "customers/importCSV", *lines, expect=400)
        assert error["key"] == "invalid_payload"
    files = {"file": ("x.csv", b"Name\n\xff\xfe", "text/csv")}
    assert "UTF-8" in (await api.post("/v1/customers/importCSV", files=files)).json()["details"]
    await upload(api, "campaigns/none/importCSV", "Code", "X", expect=404)
    assert (await send(api, "GET", "/v1/customers"))["total"] == 0


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet='ab,"\n\r \x00{}é', max_size=60), st.text(alphabet="0123456789.-eE+_ NaInf٣,", max_size=18))
def test_any_text_is_read_or_refused(whole: str, cell: str) -> None:
    """Whatever a file or a cell holds, it is lines, a number, or a refusal that says why; nothing breaks on it."""
    for read in (lambda: parsed(f"head\n{whole}"), lambda: parsed(whole), lambda: number(cell, "x")):
        with contextlib.suppress(Failure):
            found = read()
            assert all(line.cells for line in found) if isinstance(found, list) else abs(found) <= LARGEST


async def test_an_import_that_is_killed_in_the_middle_leaves_nothing(
    api: httpx.AsyncClient, sandbox: Sandbox, sink: Sink
) -> None:
    """Killed when all lines are written but the last word is not: none is there or told of; again does all of it."""
    lines = ("Source_id,Name", *(f"u-{number},N" for number in range(20)))
    store = await sandbox.store.pool()
    with capture_logs():  # the default would print the traceback with all locals, which takes seconds
        async with store.acquire() as holder, holder.transaction():
            await holder.execute("LOCK TABLE async_action IN SHARE MODE")
            files = {"file": ("file.csv", "\n".join(lines).encode(), "text/csv")}
            request = asyncio.create_task(api.post("/v1/customers/importCSV", files=files, timeout=60))
            await store.execute(KILL_WHO_WAITS)
            assert (await request).status_code == 500
    assert (await send(api, "GET", "/v1/customers"))["total"] == 0
    assert sink.got == []
    assert (await upload(api, "customers/importCSV", *lines, expect=202))["done_count"] == 20
    await sink.wait(20, "customer.created", 20)


async def test_metadata_of_many_vouchers(api: httpx.AsyncClient, sink: Sink) -> None:
    """Each gets its own or all the same, key by key; a code that there is not is an error of the action."""
    await send(api, "POST", "/v1/vouchers/import", LIST, 202)
    items = [{"code": "TEN", "metadata": {"a": None, "b": 2}}, {"code": "NONE", "metadata": {}}]
    result = await result_of(api, await send(api, "POST", "/v1/vouchers/bulk/async", items, 202))
    assert (result["done_count"], result["failed_count"], result["errors"][0]["code"]) == (1, 1, "NONE")
    body = {"codes": ["TEN", "CARD", "CARD"], "metadata": {"lang": "en"}}
    result = await result_of(api, await send(api, "POST", "/v1/vouchers/metadata/async", body, 202))
    assert result["errors"] == []
    found = {code: (await send(api, "GET", f"/v1/vouchers/{code}"))["metadata"] for code in ("TEN", "CARD")}
    assert found == {"TEN": {"b": 2, "lang": "en"}, "CARD": {"lang": "en"}}
    for path, bad in {"bulk": [{"code": "TEN"}], "metadata": {"codes": ["TEN"]}}.items():
        await send(api, "POST", f"/v1/vouchers/{path}/async", bad, 400)
    await send(api, "POST", "/v1/vouchers/bulk/async", [{"code": "TEN", "metadata": 5}], 400)
    assert not sink.of("voucher.updated")


async def test_a_voucher_is_made_with_its_validation_rule(api: httpx.AsyncClient) -> None:
    """The rule of the request is assigned and asked; a change passes it over, an unknown one makes no voucher."""
    rules = {"1": {"name": "order.amount", "conditions": {"$more_than": [1000]}}, "logic": "1"}
    rule = await send(api, "POST", "/v1/validation-rules", {"name": "big", "rules": rules})
    await coupons(api, "Generic", type="STANDALONE")
    bodies: dict[str, dict[str, Any]] = {
        "ALONE": {"type": "DISCOUNT_VOUCHER", "discount": PERCENT},
        "GENERIC": {"campaign": "Generic"},
    }
    for code, body in bodies.items():
        made = await send(api, "POST", f"/v1/vouchers/{code}", {**body, "validation_rules": [rule["id"]]})
        check_answer("POST", "/v1/vouchers/{code}", made)
        [assignment] = made["validation_rules_assignments"]["data"]
        assert (assignment["rule_id"], assignment["related_object_id"]) == (rule["id"], made["id"])
        await redeem(api, code, amount=900, expect=400)
        changed = await send(api, "PUT", f"/v1/vouchers/{code}", {"validation_rules": [], "category": "x"})
        assert changed["validation_rules_assignments"]["total"] == 1
        await redeem(api, code, amount=1100)
        await send(api, "POST", "/v1/vouchers/OTHER", {**body, "validation_rules": ["val_none"]}, 404)
        await send(api, "GET", "/v1/vouchers/OTHER", expect=404)


async def test_a_form_in_an_encoding_that_there_is_not_is_refused(api: httpx.AsyncClient) -> None:
    """A part of a form that names no known encoding is no form; nothing breaks."""
    head = 'Content-Disposition: form-data; name="file"\r\nContent-Type: text/csv; charset=klingon'
    form = f"--a\r\n{head}\r\n\r\ncode\r\n--a--\r\n"
    kind = {"content-type": "multipart/form-data; boundary=a"}
    answer = await api.post("/v1/vouchers/importCSV", content=form, headers=kind)
    assert (answer.status_code, answer.json()["key"]) == (400, "invalid_payload")
