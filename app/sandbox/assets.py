"""Images of a voucher's code: the QR and bar code (Code 128) that `assets.qr.url` and `assets.barcode.url` name.

documented: `format` is `png` (default) or `svg`, `size` 1 to 100; the addresses take no keys. inferred: `size` is the
number of pixels of the smallest square or bar, 10 by default, and what would be wider than 8000 pixels is drawn
smaller; the id in the address is the voucher's (the real one is encrypted); a code that Code 128 can't write is a 400.
"""

import struct
import zlib
from collections.abc import Sequence

import segno
from barcode import Code128
from barcode.errors import BarcodeError
from litestar import Router, get
from litestar.params import FromPath
from litestar.response import Response

from app.sandbox.errors import Failure, invalid_query, not_found
from app.sandbox.fidelity import documented, inferred
from app.sandbox.read import AnyRequest, argument, count
from app.sandbox.store import TheStore

Rows = Sequence[Sequence[int]]
"""An image by its smallest squares, 1 is black."""
_QUIET_QR = 4
_QUIET_BARS = 10
"""Empty squares at the sides; scanners want them (ISO/IEC 18004, 15417)."""
_BARS_HIGH = 50
_WIDEST = 8000
_SIZE = 10


def qr(code: str) -> Rows:
    try:
        inner = segno.make(code, error="m", micro=False).matrix
    except segno.DataOverflowError as error:
        raise _unwritable(code) from error
    side, empty = [0] * _QUIET_QR, [0] * (len(inner) + 2 * _QUIET_QR)
    return [*[empty] * _QUIET_QR, *([*side, *row, *side] for row in inner), *[empty] * _QUIET_QR]


def bars(code: str) -> Rows:
    try:
        inner = [int(each) for each in Code128(code).build()[0]]
    except BarcodeError as error:
        raise _unwritable(code) from error
    return [[*[0] * _QUIET_BARS, *inner, *[0] * _QUIET_BARS]] * _BARS_HIGH


def svg(rows: Rows) -> bytes:
    """One unit for a square; it scales to any size. Bars are drawn through, not in squares."""
    width, height = len(rows[0]), len(rows)
    lines = {0: rows[0]} if height == _BARS_HIGH and rows[0] is rows[-1] else dict(enumerate(rows))
    thick = height // len(lines)
    path = "".join(f"M{x} {y}h{long}v{thick}h-{long}z" for y, row in lines.items() for x, long in _runs(row))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" shape-rendering="crispEdges">'
        f'<path fill="#fff" d="M0 0h{width}v{height}H0z"/><path fill="#000" d="{path}"/></svg>'
    ).encode()


def png(rows: Rows, size: int) -> bytes:
    """Black and white, one bit a pixel."""
    size = max(1, min(size, _WIDEST // len(rows[0])))
    width = len(rows[0]) * size
    packed = zlib.compressobj(level=6)
    data = b""
    for row in rows:
        bits = "".join(("0" if square else "1") * size for square in row).ljust((width + 7) // 8 * 8, "0")
        line = b"\x00" + int(bits, 2).to_bytes(len(bits) // 8, "big")
        data += packed.compress(line * size)
    header = struct.pack(">IIBBBBB", width, len(rows) * size, 1, 0, 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", data + packed.flush()), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _runs(row: Sequence[int]) -> list[tuple[int, int]]:
    """Start and length of each black run."""
    runs: list[tuple[int, int]] = []
    for place, square in enumerate(row):
        if square and runs and sum(runs[-1]) == place:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        elif square:
            runs.append((place, 1))
    return runs


def _unwritable(code: str) -> Failure:
    return Failure(400, "invalid_voucher", "Invalid voucher", f"The code {code} can't be written as such an image")


@get("/{kind:str}/{voucher:str}")
async def get_asset(
    kind: FromPath[str], voucher: FromPath[str], request: AnyRequest, store: TheStore
) -> Response[bytes]:
    wanted = argument(request, "format") or "png"
    if wanted not in {"png", "svg"}:
        raise invalid_query("Property .format must be equal to one of the allowed values")
    size = count(request, "size", _SIZE, 100)
    if kind not in {"qr", "barcode"}:
        raise not_found("asset", kind)
    async with store.work() as work:
        code = await work.value("SELECT code FROM voucher WHERE id = $1", voucher)
    if code is None:
        raise not_found("voucher", voucher)
    rows = qr(code) if kind == "qr" else bars(code)
    if wanted == "svg":
        return Response(svg(rows), media_type="image/svg+xml")
    return Response(png(rows, size), media_type="image/png")


router = Router("/api/v1/assets", route_handlers=[get_asset])

FIDELITY = (
    documented(
        "**Images**: `assets.qr.url` and `assets.barcode.url` of a voucher serve its code as a QR code "
        "and as Code 128; `format` is `png` or `svg`, `size` 1 to 100"
    ),
    inferred(
        "`size` is the pixels of the smallest square or bar, 10 by default, and no image is wider than "
        "8000 pixels; a code that Code 128 can't write has no bar code (400); the id in the address is "
        "the voucher's, not an encrypted one"
    ),
)
