"""The bar code of a loyalty card, Code 128, as SVG: pure."""

from barcode import Code128
from barcode.errors import BarcodeError

QUIET = 10
"""Empty modules left and right; scanners want ten (ISO/IEC 15417)."""


def svg(code: str) -> str | None:
    """An SVG that scales to any width: one module is one unit, on white whatever the theme is.

    None for a code that Code 128 can't write: a campaign may have made it of any characters.
    """
    try:
        modules = Code128(code).build()[0]
    except BarcodeError:
        return None
    width = len(modules) + 2 * QUIET
    bars = "".join(f"M{QUIET + start} 0h{length}v40h-{length}z" for start, length in _runs(modules))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} 40" preserveAspectRatio="none" '
        f'shape-rendering="crispEdges" role="img" aria-label="Bar code of the loyalty card">'
        f'<path fill="#fff" d="M0 0h{width}v40H0z"/><path fill="#000" d="{bars}"/></svg>'
    )


def _runs(modules: str) -> list[tuple[int, int]]:
    """Start and length of each black bar in a string of 1 (black) and 0 (white)."""
    runs: list[tuple[int, int]] = []
    for position, module in enumerate(modules):
        if module == "1":
            if runs and sum(runs[-1]) == position:
                runs[-1] = (runs[-1][0], runs[-1][1] + 1)
            else:
                runs.append((position, 1))
    return runs
