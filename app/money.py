"""Money: integer minor units inside, major units where Segment's e-commerce spec wants them."""

from decimal import ROUND_HALF_UP, Decimal

# ISO 4217 currencies whose minor unit is not a hundredth.
_EXPONENTS = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV"), 0),
    **dict.fromkeys(("XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}


def exponent(currency: str) -> int:
    """How many digits the minor unit of a currency has."""
    return _EXPONENTS.get(currency, 2)


def major(minor: int, currency: str) -> float:
    """Minor to major units, for a Segment property: 1840 USD is 18.4."""
    return float(Decimal(minor).scaleb(-exponent(currency)))


def minor(amount: float | str, currency: str) -> int:
    """Major to minor units, to the nearest: 18.4 USD is 1840."""
    return int(Decimal(str(amount)).scaleb(exponent(currency)).quantize(Decimal(1), ROUND_HALF_UP))


def tax_of(total: int, rate: int, included: bool) -> int:
    """The tax in (or on) a total, minor units; `rate` in basis points. Half a unit rounds up."""
    share = Decimal(total) * rate / (10_000 + rate if included else 10_000)
    return int(share.quantize(Decimal(1), ROUND_HALF_UP))


def shown(amount: int, currency: str) -> str:
    """An amount for people: `18.40`."""
    digits = exponent(currency)
    return f"{Decimal(amount).scaleb(-digits):,.{digits}f}"
