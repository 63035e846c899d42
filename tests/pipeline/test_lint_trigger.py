"""The lint of triggers by example: the trap, Segment's reading, and the form that means what was meant."""

import pytest

from app.destinations.voucherify import VOUCHERIFY
from app.pipeline.lint import lint_trigger
from app.pipeline.subscriptions import compile_trigger

SHIPPED = sorted(
    {preset.trigger for preset in VOUCHERIFY.presets}
    | {action.default_trigger for action in VOUCHERIFY.actions.values()}
)


@pytest.mark.parametrize(
    ("trigger", "code", "instead"),
    [
        # One connector a level, the last one.
        (
            'type = "track" and event = "A" or event = "B"',
            "mixed-connectors",
            '(type = "track" and event = "A") or event = "B"',
        ),
        # Parentheses do not nest, and the `)` of a function closes them, so a function comes last in them.
        (
            '(type = "track" and (event = "a" or event = "b"))',
            "nested-parentheses",
            'type = "track" and (event = "a" or event = "b")',
        ),
        (
            'type = "track" and (contains(event, "x") or contains(event, "y"))',
            "function-in-parentheses",
            '(type = "track" and contains(event, "x")) or (type = "track" and contains(event, "y"))',
        ),
        (
            'type = "track" and (contains(event, "x") or userId = null)',
            "function-in-parentheses",
            'type = "track" and (userId = null or contains(event, "x"))',
        ),
        # What negates functions alone.
        ('!(type = "track")', "not-ignored", 'type != "track"'),
        (
            'not (type = "track" and properties.total > 5)',
            "not-ignored",
            'type != "track" or properties.total <= 5',
        ),
        ('! contains(event, "x")', "not-ignored", '!contains(event, "x")'),
        # Words and signs from elsewhere.
        ('type = "track" OR event = "x"', "connector-ignored", 'type = "track" or event = "x"'),
        ('type = "track" && event = "x"', "not-a-sign", 'type = "track" and event = "x"'),
        ("type = 'track'", "single-quotes", 'type = "track"'),
        ("type = \u201ctrack\u201d", "curly-quotes", 'type = "track"'),
        ("event = Order Completed", "no-quotes", 'event = "Order Completed"'),
        ("properties.total == 5", "not-an-operator", "properties.total = 5"),
        ('event <> "x"', "not-an-operator", 'event != "x"'),
        ("properties.gift = True", "not-a-value", "properties.gift = true"),
        ("properties.total = 1e3", "exponent", "properties.total = 1000"),
        ('event in ["a", "b"]', "no-list", 'event = "a" or event = "b"'),
        ('event not in ("a", "b")', "no-list", 'event != "a" and event != "b"'),
        # White space.
        ("properties.total<5", "no-space", "properties.total < 5"),
        ("properties.total >=5", "no-space", "properties.total >= 5"),
        ('type !="track"', "no-space", 'type != "track"'),
        ('type = "track"and event = "x"', "no-space", 'type = "track" and event = "x"'),
        # Fields.
        ('type = "track" and total >= 5', "unknown-field", 'type = "track" and properties.total >= 5'),
        ('type = "track" and anonymousId = "x"', "unknown-field", None),
        ('userid = "x"', "unknown-field", 'userId = "x"'),
        ('$.traits.city = "x"', "unknown-field", 'traits.city = "x"'),
        ("event.properties.total > 3", "deep-in-scalar", "properties.total > 3"),
        ('type.foo = "track"', "deep-in-scalar", None),
        ("properties != null", "whole-object", None),
        ("properties.items[0].id = 7", "brackets", "properties.items.\\0.id = 7"),
        ('properties["a b"] = "x"', "brackets", 'properties.a\\ b = "x"'),
        # Functions.
        ('match(event, "exact")', "match-without-star", 'event = "exact"'),
        ('match(event, "*mid*")', "match-two-stars", 'contains(event, "mid")'),
        ('match(event, "a*b")', "match-inner-star", 'match(event, "a*") and match(event, "*b")'),
        ('match(event, "ab*ba")', "match-inner-star", None),
        ("length(event) > 5", "no-such-function", None),
        ('cidr(context.ip, "10.0.0.0/8")', "no-such-function", None),
        ('type = "page" or contains(type, "tr")', "function-of-type", None),
        # Comparisons that are not what they seem.
        ("event = null", "null-text", None),
        ("event != null", "null-text", 'contains(event, "")'),
        ("properties.gift != true", "not-true", "properties.gift = false or properties.gift = null"),
        ('properties.date > "2024-01-01"', "not-a-number", None),
        ("userId > 5", "not-a-number", None),
        ("event = 'say \"hi\"'", "single-quotes", None),
        ("userId = 007", "reads-otherwise", 'userId = "007"'),
        # What Segment reads as it stands, with a corner to know.
        ('event != "Order Refunded"', "missing-is-unequal", 'event != "Order Refunded" and contains(event, "")'),
        ('properties.a != "x"', "missing-is-unequal", 'properties.a != "x" and properties.a != null'),
        ("properties.a != 5", "missing-is-no-number", "properties.a != 5 or properties.a = null"),
        ('properties.total = "5"', "text-is-no-number", "properties.total = 5"),
        ('properties.total > "5"', "number-in-quotes", "properties.total > 5"),
        ('type = "Track"', "unknown-type", 'type = "track"'),
        ('type = "track" AND userId != null', "connector-ignored", 'type = "track" and userId != null'),
        ('event contains "x"', "operator-in-words", 'contains(event, "x")'),
        ('type = "track" event = "x"', "no-connector", 'type = "track" and event = "x"'),
        ('type = "track" and type = "page"', "takes-nothing", None),
        ('type = "identify" and event = "x"', "takes-nothing", None),
        ('userId = "a" and userId = "a"', "said-twice", None),
        # What nobody can read.
        # What is not closed, swapped, or no word of Segment's.
        ('(type = "track"', "not-closed", 'type = "track"'),
        ('contains("A", event)', "swapped-arguments", 'contains(event, "A")'),
        ("exists(properties.a)", "no-such-function", "properties.a != null"),
        ('type = "track" and !exists(properties.a)', "no-such-function", 'type = "track" and properties.a = null'),
        ("event = true", "word-is-text", 'event = "true"'),
        ("contains(event, null)", "word-is-text", 'contains(event, "null")'),
        ('contains("A"', "cannot-be-read", None),
        ("", "cannot-be-read", None),
        ("((", "cannot-be-read", None),
        ('type = "track" and', "not-an-expression", None),
    ],
)
def test_traps(trigger: str, code: str, instead: str | None) -> None:
    """Each trap is named by its code, with the form to write instead where there is one."""
    found = {finding.code: finding for finding in lint_trigger(trigger)}

    assert code in found
    assert found[code].write_instead == instead


@pytest.mark.parametrize(
    "trigger",
    [
        *SHIPPED,
        'type = "track" and (event = "a" or contains(event, "b"))',
        '(event = "a" and userId != null) or (event = "b" and properties.total > 5)',
        'type = "track" and event != "a" and properties.gift = true and !match(userId, "a*")',
    ],
)
def test_nothing_to_say(trigger: str) -> None:
    """The triggers that ship, and others that mean what they say, have no findings."""
    assert lint_trigger(trigger) == []


def test_how_segment_reads_it() -> None:
    """The reading is in plain words, every group in parentheses."""
    (finding,) = lint_trigger('type = "track" and event = "A" or !contains(userId, "x") or properties.vip = true')

    assert finding.reads_as == (
        'type is "track" or event is "A" or userId is a text without "x" or properties.vip is true'
    )
    (nested, *_) = lint_trigger('(properties.a = 5 or properties.b <= 2) and type = "track" and total = 1')
    assert nested.reads_as == (
        '(properties.a is the number 5 or properties.b is a number of at most 2) and type is "track"'
    )


def test_several_mappings_where_one_trigger_cannot_say_it() -> None:
    """Too many functions for one trigger: each alternative becomes a trigger of its own, and twice is warned of."""
    text = 'type = "track" and (contains(event, "a") or contains(event, "b")) and '
    (first, *_) = lint_trigger(f'{text}(contains(name, "c") or contains(name, "d"))')

    assert first.write_instead is None
    assert first.split == (
        'type = "track" and contains(event, "a") and contains(name, "c")',
        'type = "track" and contains(event, "a") and contains(name, "d")',
        'type = "track" and contains(event, "b") and contains(name, "c")',
        'type = "track" and contains(event, "b") and contains(name, "d")',
    )
    assert "An event that meets several is then sent by each of them." in first.sentence
    takes = [compile_trigger(trigger) for trigger in first.split]
    assert [take({"type": "track", "event": "a", "name": "d"}) for take in takes] == [False, True, False, False]


def test_why_it_cannot_be_said() -> None:
    """Where no trigger can say it, the sentence has the reason."""
    (finding,) = lint_trigger('type = "track" and anonymousId = "x"')
    assert finding.sentence.endswith("Segment's triggers can't see anonymousId.")

    (finding, *_) = lint_trigger("length(event) > 5")
    assert "length() is no function of Segment's" in finding.sentence


def test_findings_as_json() -> None:
    """A finding is shown without what it does not say."""
    assert lint_trigger("type = 'track'")[0].as_json() == {
        "code": "single-quotes",
        "level": "warning",
        "sentence": "'track' is in single quotes, which Segment takes for a part of the text. Use double quotes.",
        "reads_as": "type is \"'track'\"",
        "write_instead": 'type = "track"',
    }
