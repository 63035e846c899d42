"""Phone numbers: one form for every way of writing one."""

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import BadInput
from app.members.phone import e164


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("+48601234567", "+48601234567"),
        ("+48 601 234 567", "+48601234567"),
        (" +48 601-234-567 ", "+48601234567"),
        ("+48(601)234.567", "+48601234567"),
        ("tel:+48-601-234-567", "+48601234567"),
        ("+1 (416) 555-0142", "+14165550142"),
        ("+44 (0)20 7946 0958", "+442079460958"),
        ("+39 06 698 1234", "+39066981234"),
        ("+48 601 234 567 ext. 5", "+48601234567"),
        ("＋４８６０１２３４５６７", "+48601234567"),  # noqa: RUF001 - what a phone set to Japanese types
    ],
)
def test_every_way_of_writing_is_one_number(written: str, stored: str) -> None:
    """However somebody writes a number, it is stored in E.164."""
    assert e164(written) == stored


@pytest.mark.parametrize(
    "written",
    ["", "601234567", "00 48 601 234 567", "+48", "+48 12", "+999 1234567", "abc", "+1 5550142", "+" + "4" * 25],
)
def test_what_is_no_number_is_refused(written: str) -> None:
    """Without a country code, too short, too long, or only a part of a number: the sentence names the field."""
    with pytest.raises(BadInput, match=r"^phone ") as caught:
        e164(written)
    assert caught.value.extra == {"field": "phone"}


EXAMPLES = [
    phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    for region in phonenumbers.SUPPORTED_REGIONS
    if (number := phonenumbers.example_number(region)) is not None
]


@given(st.sampled_from(EXAMPLES), st.integers(0, 3))
def test_a_number_of_any_country_in_any_format_is_itself(number: str, style: int) -> None:
    """An E.164 number stays as it is, and any international way of writing it leads back to it."""
    assert e164(number) == number
    written = phonenumbers.format_number(phonenumbers.parse(number, None), style)
    if "+" in written:
        assert e164(written) == number


@given(st.text(max_size=40) | st.from_regex(r"\+[0-9 ()./-]{3,25}", fullmatch=True))
def test_any_text_is_refused_or_settles(text: str) -> None:
    """Whatever is typed is either refused with a sentence, or becomes a number that stays the same."""
    try:
        stored = e164(text)
    except BadInput:
        return
    assert stored[0] == "+"
    assert stored[1:].isdecimal()
    assert e164(stored) == stored
