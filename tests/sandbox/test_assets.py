"""The images of a code: a decoder that is not ours reads from each what the voucher says."""

import re
import struct
import zlib
from collections.abc import Callable

import httpx
import pytest
import zxingcpp

from tests.sandbox.programme import coupon, coupons, join, loyalty, send

Picture = tuple[int, int, bytes]
"""Width, height, and one byte a pixel: 0 is black."""


def read_png(data: bytes) -> Picture:
    """A picture of one bit a pixel whose lines are not filtered, with its check sums tested."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    place, packed, width, height = 8, b"", 0, 0
    while place < len(data):
        [length] = struct.unpack_from(">I", data, place)
        kind, body = data[place + 4 : place + 8], data[place + 8 : place + 8 + length]
        assert struct.unpack_from(">I", data, place + 8 + length) == (zlib.crc32(kind + body),)
        if kind == b"IHDR":
            width, height, depth, *rest = struct.unpack(">IIBBBBB", body)
            assert (depth, rest) == (1, [0, 0, 0, 0])
        elif kind == b"IDAT":
            packed += body
        place += 12 + length
    raw, line = zlib.decompress(packed), 1 + (width + 7) // 8
    assert len(raw) == line * height
    rows = [raw[start : start + line] for start in range(0, len(raw), line)]
    assert not any(row[0] for row in rows)
    return width, height, b"".join(_pixels(row[1:], width) for row in rows)


def _pixels(row: bytes, width: int) -> bytes:
    return bytes(255 if row[x // 8] >> (7 - x % 8) & 1 else 0 for x in range(width))


def read_svg(data: bytes, size: int = 4) -> Picture:
    """The black bars and squares of an image of ours, each unit drawn as `size` pixels."""
    width, height = (int(each) * size for each in re.findall(r'viewBox="0 0 (\d+) (\d+)"', data.decode())[0])
    rows = [bytearray(b"\xff" * width) for _ in range(height)]
    black = data.decode().rpartition(' d="')[2]
    for x, y, long, high in (map(int, each) for each in re.findall(r"M(\d+) (\d+)h(\d+)v(\d+)", black)):
        for row in rows[y * size : (y + high) * size]:
            row[x * size : (x + long) * size] = bytes(long * size)
    return width, height, b"".join(rows)


def decoded(picture: Picture) -> list[tuple[str, str]]:
    """What a scanner sees: the kind of each code, and its text."""
    width, height, pixels = picture
    found = zxingcpp.read_barcodes(memoryview(pixels).cast("B", (height, width)))
    return [(str(each.format), each.text) for each in found]


@pytest.mark.parametrize(("kind", "name"), [("qr", "QR Code"), ("barcode", "Code 128")])
@pytest.mark.parametrize(
    ("query", "read"), [("", read_png), ("?format=png&size=3", read_png), ("?format=svg", read_svg)]
)
async def test_a_scanner_reads_the_code(
    api: httpx.AsyncClient, kind: str, name: str, query: str, read: Callable[[bytes], Picture]
) -> None:
    """The address in the voucher gives an image of its code, without keys, in both formats."""
    await coupons(api)
    await loyalty(api)
    for code in (await coupon(api), await join(api)):
        voucher = await send(api, "GET", f"/v1/vouchers/{code}")
        async with httpx.AsyncClient() as anybody:
            answer = await anybody.get(voucher["assets"][kind]["url"] + query)
        assert answer.headers["content-type"].startswith("image/svg+xml" if "svg" in query else "image/png")
        assert [(found.replace(" ", ""), text) for found, text in decoded(read(answer.content))] == [
            (name.replace(" ", ""), code)
        ]


async def test_the_size_is_that_of_the_smallest_square(api: httpx.AsyncClient) -> None:
    """Ten times the size is ten times as wide, until it would be wider than 8000 pixels."""
    await coupons(api)
    url = (await send(api, "GET", f"/v1/vouchers/{await coupon(api)}"))["assets"]["qr"]["url"]
    widths = [read_png((await api.get(f"{url}?size={size}")).content)[0] for size in (1, 10)]
    assert widths[1] == 10 * widths[0]
    bars = (await send(api, "GET", f"/v1/vouchers/{await coupon(api)}"))["assets"]["barcode"]["url"]
    [width] = struct.unpack_from(">I", (await api.get(f"{bars}?size=100")).content, 16)
    assert 7000 < width <= 8000


async def test_a_code_that_has_no_bars_still_has_a_qr_code(api: httpx.AsyncClient) -> None:
    """Code 128 can't write everything that a campaign may make a code of; a QR code can."""
    config = {"pattern": "ŻÓŁW-####"}
    voucher = {
        "type": "DISCOUNT_VOUCHER",
        "discount": {"type": "AMOUNT", "amount_off": 1},
        "redemption": {"quantity": 1},
        "code_config": config,
    }
    await send(api, "POST", "/v1/campaigns", {"name": "Polish", "voucher": voucher})
    code = await coupon(api, campaign="Polish")
    assets = (await send(api, "GET", f"/v1/vouchers/{code}"))["assets"]
    answer = await api.get(assets["barcode"]["url"])
    assert (answer.status_code, answer.json()["key"]) == (400, "invalid_voucher")
    assert [text for _, text in decoded(read_png((await api.get(assets["qr"]["url"])).content))] == [code]


@pytest.mark.parametrize(
    ("query", "status"), [("?format=gif", 400), ("?size=0", 400), ("?size=101", 400), ("?size=big", 400), ("x", 404)]
)
async def test_a_bad_wish_is_refused(api: httpx.AsyncClient, query: str, status: int) -> None:
    """An unknown format, a size out of bounds, and a voucher that there is not."""
    await coupons(api)
    url = (await send(api, "GET", f"/v1/vouchers/{await coupon(api)}"))["assets"]["qr"]["url"]
    await send(api, "GET", url + query, expect=status)
    await send(api, "GET", url.replace("/qr/", "/photo/"), expect=404)
