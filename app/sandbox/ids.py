"""Ids in Voucherify's forms (spec: ids and codes). Their content means nothing; callers must treat them as opaque."""

import base64
import hashlib
import secrets
import string

from app.sandbox.fidelity import documented

ALPHANUMERIC = string.digits + string.ascii_lowercase + string.ascii_uppercase
_RANDOM = secrets.SystemRandom()
_LETTERS = {
    "cust": 24,
    "camp": 24,
    "v": 32,
    "pub": 32,
    "ord": 24,
    "ern": 24,
    "auto": 24,
    "ms": 24,
    "wh": 24,
    "distr": 24,
    "proj": 24,
    "rew": 24,
    "rewa": 24,
    "rewr": 24,
    "seg": 24,
    "val": 12,
    "asgm": 16,
    "lopb": 24,
    "pc": 24,
    "del": 24,
    "promo": 24,
    "stack": 24,
    "rh": 18,
    "ssn": 32,
}


def new_id(prefix: str) -> str:
    """A new id: 24 or 32 letters and digits for the older resources, 18 hexadecimal digits for the others."""
    length = _LETTERS.get(prefix)
    return f"{prefix}_{code(length)}" if length else f"{prefix}_{secrets.token_hex(9)}"


def stable_id(prefix: str, name: str) -> str:
    """The same id for the same name, for what the sandbox shows but does not keep."""
    return f"{prefix}_{hashlib.sha256(name.encode()).hexdigest()[: _LETTERS[prefix]]}"


def request_id() -> str:
    return f"v-{secrets.token_hex(9)}"


def code(length: int, charset: str = ALPHANUMERIC) -> str:
    return "".join(_RANDOM.choices(charset, k=length))


def tracking_id(source_id: str) -> str:
    """Redemptions and validations show a hash of the customer's source id, not the source id itself."""
    return "track_" + base64.b64encode(hashlib.md5(source_id.encode(), usedforsecurity=False).digest()).decode()


FIDELITY = (
    documented(
        "ids in Voucherify's forms; customers, orders, products by `id` or `source_id`, campaigns by `id` "
        "or name, vouchers by code or `id`"
    ),
)
