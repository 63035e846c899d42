"""JSON that means nothing, made of words that the API has."""

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st


def anything(names: Sequence[str], words: Sequence[str]) -> st.SearchStrategy[Any]:
    """Any value; its objects have these names, and some of its texts are these words."""
    scalars = (
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=8)
        | st.sampled_from(words)
    )
    return st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(names), inner, max_size=6),
        max_leaves=12,
    )
