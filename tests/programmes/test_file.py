"""Programme files as they are read: what is wrong is said with its line, its place and the fix."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.programmes import yaml_text
from app.programmes.file import ProgrammeError, load, read
from app.programmes.format_campaigns import Loyalty
from tests.programmes.conftest import SHIPPED

LOYALTY = "programme: P\ncampaigns:\n  - kind: loyalty\n    name: L\n"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "p.yaml: A programme file is a mapping that begins with `programme: its name`"),
        ("about: nothing", "p.yaml: `programme` is missing here."),
        ("programme: [", "p.yaml, line 1: This is not YAML: "),
        ("programme: 7", "p.yaml, line 1, programme: This must be text, but is 7. Text that looks like a number needs"),
        ("programme: a\nprogramme: b", "line 2: `programme` stands here for the second time: it is on line 1 already."),
        ("programme: &a b", "line 1: Anchors (& and *) are not read here."),
        ("programme: !x b", "line 1: Tags (!) are not read here."),
        (
            "programme: P\ncampaigns:\n  - kind: loyality\n    name: L",
            "line 3, campaigns[0].kind: 'loyality' is not one of 'loyalty', 'discount', 'gift', 'promotion', ",
        ),
        (LOYALTY + "    welcom_points: 5", "line 5, campaigns[0].welcom_points: `welcom_points` is not a field of"),
        (LOYALTY + "    welcom_points: 5", "Did you mean `welcome_points`?"),
        (LOYALTY + "    welcome_points: -5", "welcome_points: This must be a whole number >= 0, but is -5."),
        (LOYALTY + "    active: yes", "line 5, campaigns[0].active: This must be true or false, but is 'yes'."),
        (LOYALTY + "    starts: 31.1.2027", "starts: '31.1.2027' is not a date such as 2027-01-31, or a time such as"),
        (
            LOYALTY + "    earning_rules:\n      - {banner: B, points: 1, when: {}}",
            "line 6, campaigns[0].earning_rules[0].when: Exactly one of `order`, `event`, `enters_segment`, `tier` ",
        ),
        (
            LOYALTY + "    earning_rules:\n      - {banner: B, points: 1, when: {event: Sale}}",
            "There is no event 'Sale' in this file. There is: none at all.",
        ),
        (
            LOYALTY + "    rewards: [{reward: Coffe, points: 1}]\nrewards: [{name: Coffee, coupon_of: L}]",
            "There is no reward 'Coffe' in this file. Did you mean 'Coffee'?",
        ),
        (LOYALTY + "rewards: [{name: C, coupon_of: L}]", "There is no discount campaign 'L' in this file."),
        (LOYALTY + "  - {kind: loyalty, name: L}", "line 5, campaigns[1]: The name 'L' is used twice"),
        (
            LOYALTY + "    earning_rules:\n"
            "      - {banner: B, points: 1, when: {order: paid}, per: {of: order total, every: 100}}",
            "per: `of: order total` is money: write `every_minor_units`.",
        ),
        (
            LOYALTY + "tests:\n  - {name: T, given: [{member: {name: M}}], then: [{member: Mia, points: 1}]}",
            "tests[0].then[0]: No member of that name is given.",
        ),
        (
            "programme: P\nmetadata_schemas: {customer: {vip: bool}}",
            "line 2, metadata_schemas.customer.vip: 'bool' is not one of 'boolean', 'date', 'datetime',",
        ),
        (
            "programme: P\nsegments: [{name: S, all_of: [{what: metadata.x, is: 1, is_not: 2}]}]",
            "segments[0].all_of[0]: A condition has exactly one operator, such as `is` or `at_least`.",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(text: str, sentence: str) -> None:
    """Each mistake is told with the file, the line, the place in the file, and what to write instead."""
    with pytest.raises(ProgrammeError) as caught:
        read(text, "p.yaml")
    assert sentence in caught.value.sentence


def test_all_wrong_names_are_said_at_once() -> None:
    """Who misspells two names is told of both."""
    with pytest.raises(ProgrammeError) as caught:
        read("programme: P\nrewards: [{name: A, coupon_of: X}, {name: B, coupon_of: Y}]", "p.yaml")
    assert len(caught.value.sentences) == 2


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("no", "no"), ("Off", "Off"), ("1e5", "1e5"), ("1:30", "1:30"), ("2027-01-31", "2027-01-31"), ("007", "007"),
        ("~", None), ("null", None), ("true", True), ("True", "True"), ("-3", -3), ("2.50", 2.5), (".5", ".5"),
        ("9" * 30, "9" * 30), ('"5"', "5"), ("'true'", "true"),
    ],
)  # fmt: skip
def test_words_mean_what_they_say(written: str, value: Any) -> None:
    """Only true, false, null and numbers are other than text: no word of a programme turns into something else."""
    assert yaml_text.read(f"a: {written}")[0] == {"a": value}
    assert type(yaml_text.read(f"a: {written}")[0]["a"]) is type(value)


@given(
    st.text(max_size=60) | st.recursive(st.sampled_from(["a", "1", "~"]), lambda inner: inner.map(lambda x: f"[{x}]"))
)
def test_no_text_breaks_the_reader(text: str) -> None:
    """Whatever stands in a file, it is read or refused with a sentence."""
    with pytest.raises(ProgrammeError) as caught:
        read(text, "p.yaml")
    assert caught.value.sentence.startswith("p.yaml")


def test_a_tower_of_brackets_is_refused() -> None:
    """Nesting without end ends with a sentence."""
    with pytest.raises(ProgrammeError, match="nested too deeply"):
        read("programme: " + "[" * 1000 + "]" * 1000, "p.yaml")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_every_shipped_file_is_valid(path: Any) -> None:
    """Each programme that comes with the project can be read, says what it is, and has tests."""
    programme = load(path)
    assert programme.about
    assert programme.tests
    assert any(isinstance(campaign, Loyalty) for campaign in programme.campaigns)
