"""Addresses in settings: whether they are any, and whether all are in one region."""

from typing import Literal
from urllib.parse import urlsplit

from pydantic import SecretStr

from app.errors import SettingError

Region = Literal["eu", "us"]
VOUCHERIFY_HOSTS: dict[Region, str] = {"eu": "https://api.voucherify.io", "us": "https://us1.api.voucherify.io"}
SEGMENT_HOSTS: dict[Region, str] = {"eu": "https://events.eu1.segmentapis.com", "us": "https://api.segment.io"}


def segmentio_url(api_url: str) -> str:
    """The address of Voucherify's door for Segment: the host with its label `api` replaced by `segmentio`.

    >>> segmentio_url("https://us1.api.voucherify.io")
    'https://us1.segmentio.voucherify.io'
    """
    parts = urlsplit(api_url)
    labels = ["segmentio" if label == "api" else label for label in parts.netloc.split(".")]
    return parts._replace(netloc=".".join(labels)).geturl()


def web_address(variable: str, value: str) -> str:
    """The value without a slash at its end; or `SettingError` when it is no address of a web server."""
    try:
        parts = urlsplit(value)
        good = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:  # a port that is no number, a bracket that is not closed
        good = False
    if not good:
        raise SettingError(f"{variable} must be an address like https://host:port, but it is {value!r}.")
    return value.rstrip("/")


def refuse_no_database(variable: str, address: SecretStr | None) -> None:
    """The address of a database is not shown: there is a password in it."""
    if address is None:
        return
    try:
        parts = urlsplit(address.get_secret_value())
        good = parts.scheme == "postgresql" and parts.path.strip("/") and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise SettingError(f"{variable} must be an address like postgresql://user:password@host:5432/name.")


def _region_of(url: str) -> str | None:
    host = urlsplit(url).hostname or ""
    if host.endswith("voucherify.io"):
        first = host.split(".")[0]
        return {"api": "eu", "segmentio": "eu", "us1": "us", "as1": "as"}.get(first)
    if host.endswith(("segmentapis.com", "segment.io")):
        return "eu" if ".eu1." in host else "us"
    return None


def refuse_mixed_regions(wanted: Region | None, voucherify_url: str, segmentio: str, segment_url: str) -> None:
    """Raise `SettingError` when Segment, Voucherify and `DATA_REGION` are not of one region, as far as hosts tell."""
    found = {
        name: region
        for name, region in (
            ("DATA_REGION", wanted),
            ("VOUCHERIFY_API_URL", _region_of(voucherify_url)),
            ("VOUCHERIFY_SEGMENTIO_URL", _region_of(segmentio)),
            ("SEGMENT_HOST", _region_of(segment_url)),
        )
        if region
    }
    if len(set(found.values())) > 1:
        listed = ", ".join(f"{name} is {region}" for name, region in found.items())
        raise SettingError(f"The regions differ: {listed}. Use one region for all, so that no data leaves it.")
