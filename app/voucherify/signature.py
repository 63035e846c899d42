"""`x-voucherify-signature`: lowercase hex HMAC-SHA256 of the compact body under the project's webhook secret."""

import hashlib
import hmac
import re

# A JSON string (kept) or a run of whitespace between tokens (dropped). Going through json.loads and back would change
# `\\u` escapes, `1.0` and repeated keys, and with them the signature.
_TOKEN = re.compile(rb'("(?:[^"\\]|\\.)*")|[ \t\r\n]+', re.DOTALL)


def compact(body: bytes) -> bytes:
    """The body without whitespace outside strings: what `JSON.stringify` would have written."""
    return _TOKEN.sub(lambda match: match.group(1) or b"", body)


def sign(secret: str, body: bytes) -> str:
    """The signature of a body that is compact already."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def verify(secret: str, body: bytes, signature: str) -> bool:
    """Whether Voucherify signed this body, as it came or in its compact form. Each comparison takes constant time."""
    given = signature.encode()
    if hmac.compare_digest(sign(secret, body).encode(), given):
        return True  # nearly always: compacting costs more than all the rest of taking a webhook in
    return hmac.compare_digest(sign(secret, compact(body)).encode(), given)
