"""Webhook signatures: Voucherify's own vectors, and the compact form that keeps every value."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.voucherify.signature import compact, sign, verify

# Of Voucherify's documentation and of `utils.webhooks.verifySignature` in its JavaScript SDK 5.2.0.
VECTORS = [
    (b'{"a":1}', "a17d2ac229d1ebbb5f10e839c7985c4818e5986eab297f7e5979196d4d7d3ed2"),
    (b'{"a\\"b":1}', "f7cf97814a03146abedb9793f56e1dec34f618f82d10395310d053f749483ffb"),
    (b"  message  ", "53ff92957e1427ce23ad5bda9d0c5f2f4ff384d0806b83eeacb510c842d3a358"),
]


@pytest.mark.parametrize(("body", "signature"), VECTORS)
def test_voucherifys_own_vectors(body: bytes, signature: str) -> None:
    """A body is signed as it is, a plain string with its spaces."""
    assert sign("secretKey", body) == signature
    assert verify("secretKey", body, signature)


@pytest.mark.parametrize("signature", ["", "a17d", VECTORS[0][1].upper(), VECTORS[1][1], "\u00e9", "\0"])
def test_any_other_signature_is_refused(signature: str) -> None:
    """Also an empty one, one of another body, and one that is not ASCII."""
    assert not verify("secretKey", VECTORS[0][0], signature)
    assert not verify("anotherKey", *VECTORS[0])


@pytest.mark.parametrize(
    ("pretty", "shortest"),
    [
        (b'{\r\n\t"a" : [ 1 , 2 ]\n}', b'{"a":[1,2]}'),
        (b'{"a b" : " c  d "}', b'{"a b":" c  d "}'),
        (b'{"a\\" " : "\\\\" }', b'{"a\\" ":"\\\\"}'),
        (b'{"n": 1.0, "n": 1e2, "u": "\\u00e9"}', b'{"n":1.0,"n":1e2,"u":"\\u00e9"}'),  # no value is rewritten
        (b'"never ends ', b'"neverends'),  # not JSON: whatever comes of it, nothing breaks
    ],
)
def test_the_compact_form_drops_whitespace_between_tokens_only(pretty: bytes, shortest: bytes) -> None:
    """What stands inside strings stays, escapes and all."""
    assert compact(pretty) == shortest


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(value=JSON, indent=st.sampled_from([None, 0, 3, "\t"]), ascii_only=st.booleans())
def test_the_compact_form_has_the_same_value(value: Any, indent: int | str | None, ascii_only: bool) -> None:
    """Any JSON, however it is laid out, means the same when compact, and a signature of the one fits the other."""
    if value in (float("inf"), float("-inf")):
        return
    laid_out = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    shortest = json.dumps(value, separators=(",", ":"), ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    assert compact(laid_out) == shortest
    assert json.loads(compact(laid_out)) == json.loads(laid_out)
    assert verify("secretKey", laid_out, sign("secretKey", shortest))
