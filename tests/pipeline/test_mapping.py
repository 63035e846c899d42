"""The mapping language by example: mapping, event, output."""

from typing import Any

import pytest

from app.pipeline.mapping import UNDEFINED, MappingError, compile_mapping

EVENT = {
    "type": "track",
    "userId": "u1",
    "event": "Order Completed",
    "traits": None,
    "context": {"traits": {"email": "ann@example.com"}},
    "properties": {
        "total": 120.0,
        "coupon": "",
        "note": "a-b-c",
        "products": [{"product_id": "p1", "price": 20}, {"product_id": "p2"}, None],
        "metadata": {"channel": "till", "gift": None},
        "json": '{"tier": "gold"}',
    },
}


@pytest.mark.parametrize(
    ("directive", "output"),
    [
        ({"@path": "$.properties.products[0].product_id"}, "p1"),
        ({"@path": "$.properties.products.length"}, 3),
        ({"@path": "$.missing.key"}, UNDEFINED),
        # The walk ends at the first value that counts as false, and gives it.
        ({"@path": "$.traits.email"}, None),
        ({"@path": "$.properties.coupon.code"}, ""),
        ({"@template": "{{event}}: {{ properties.total }} {{missing}}"}, "Order Completed: 120 "),
        ({"@if": {"exists": {"@path": "$.traits"}, "then": 1, "else": {"@path": "$.userId"}}}, "u1"),
        ({"@if": {"blank": {"@path": "$.properties.coupon"}, "then": 1, "else": 2}}, 2),
        # An `else` that counts as false is no `else`.
        ({"@if": {"exists": {"@path": "$.nope"}, "then": 1, "else": 0}}, UNDEFINED),
        ({"@case": {"operator": "upper", "value": {"@path": "$.type"}}}, "TRACK"),
        ({"@case": {"operator": "lower", "value": " ŁÓDŹ 1 "}}, " łódź 1 "),
        ({"@replace": {"pattern": "-", "replacement": "[$&]", "value": {"@path": "$.properties.note"}}}, "a[-]b[-]c"),
        (
            {
                "@replace": {
                    "pattern": "A",
                    "ignorecase": True,
                    "global": False,
                    "value": {"@path": "$.properties.note"},
                }
            },
            "-b-c",
        ),
        (
            {"@arrayPath": ["$.properties.products", {"id": {"@path": "$.product_id"}}]},
            [{"id": "p1"}, {"id": "p2"}, {"id": None}],
        ),
        (
            {
                "@merge": {
                    "direction": "right",
                    "objects": [{"channel": "web", "total": 1}, {"@path": "$.properties.metadata"}],
                }
            },
            {"channel": "till", "total": 1, "gift": None},
        ),
        # What is undefined overwrites all the same, and then the key is gone.
        ({"@merge": {"direction": "right", "objects": [{"a": 1}, {"a": {"@path": "$.nope"}}]}}, {}),
        (
            {
                "@flatten": {
                    "separator": ".",
                    "value": {"a": {"@path": "$.properties.metadata"}, "b": [1, {"@path": "$.x"}]},
                }
            },
            {"a.channel": "till", "a.gift": None, "b.0": 1},
        ),
        ({"@json": {"mode": "decode", "value": {"@path": "$.properties.json"}}}, {"tier": "gold"}),
        ({"@json": {"mode": "encode", "value": {"@path": "$.properties.metadata"}}}, '{"channel":"till","gift":null}'),
        ({"@excludeWhenNull": {"@path": "$.properties.metadata"}}, {"channel": "till"}),
        ({"@literal": "{{event}}"}, "{{event}}"),
        (
            {"@transform": {"apply": {"sum": {"@path": "$.properties.total"}}, "mapping": {"t": {"@path": "$.sum"}}}},
            {"t": 120.0},
        ),
        # What is undefined in a list is neither null nor gone for the mapping that is applied to it.
        (
            {
                "@transform": {
                    "apply": {"l": [{"@path": "$.nope"}, 1]},
                    "mapping": {"a": {"@path": "$.l[0]"}, "l": {"@path": "$.l"}},
                }
            },
            {"l": [None, 1]},
        ),
        ({"@liquid": "{{ properties.total | plus: 0.5 }} {{ type | upcase }}"}, "120.5 TRACK"),
    ],
)
def test_directives(directive: dict[str, Any], output: Any) -> None:
    """Each directive, as a field and as the whole mapping, gives what Segment's gives."""
    assert compile_mapping({"field": directive})(EVENT) == ({} if output is UNDEFINED else {"field": output})
    assert compile_mapping(directive)(EVENT) == output


@pytest.mark.parametrize(
    ("mapping", "messages"),
    [
        ({"@bogus": 1}, ["/ has an invalid directive: @bogus."]),
        ({"a": {"@path": 5}}, ["/a/@path should be a string or a mapping directive but it is a number."]),
        ({"a": {"@path": "$.x", "b": 1}}, ["/a should only have one @-prefixed key but it has 2 keys."]),
        (
            {
                "a": {"@replace": {"pattern": "12345678901", "value": "x"}},
                "b": {"@json": {"value": 1, "mode": "shout"}},
            },
            [
                "/a/@replace/pattern should be a string of length 10 or less.",
                '/b/@json/mode should be one of encode, decode but it is "shout".',
            ],
        ),
        (
            {"a": {"@merge": {"direction": "left", "objects": ["x"]}}},
            ["/ should be a object or a mapping directive but it is a string."],
        ),
    ],
)
def test_faults_are_told_beforehand(mapping: Any, messages: list[str]) -> None:
    """A mapping that is not valid is refused when it is compiled, in Segment's sentences, all at once."""
    with pytest.raises(MappingError) as refused:
        compile_mapping(mapping)

    assert list(refused.value.messages) == messages
    assert (refused.value.segment_status == 400) is ("@bogus" in mapping)


def test_lists_are_not_checked_beforehand() -> None:
    """A bad directive inside a list fails only when an event reaches it, as on Segment."""
    mapping = {"@if": {"exists": {"@path": "$.a"}, "then": [{"@bogus": 1}], "else": "fine"}}
    mapped = compile_mapping(mapping)

    assert mapped({}) == "fine"
    with pytest.raises(MappingError, match="@bogus is not a valid directive"):
        mapped({"a": 1})


def test_neighbours_keep_their_order() -> None:
    """Fields come out in the mapping's order, though neighbours with the same parent are looked up together."""
    mapping = {
        "b": {"@path": "$.t.b"},
        "a": {"@path": "$.t.a"},
        "x": "const",
        "c": {"@path": "$.t.c"},
        "r": {"@path": "$.t"},
    }

    mapped = compile_mapping(mapping)({"t": {"a": 1, "b": 2, "c": 3}})

    assert list(mapped.items()) == [("b", 2), ("a", 1), ("x", "const"), ("c", 3), ("r", {"a": 1, "b": 2, "c": 3})]


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{% for i in products %}{% endfor %}", 'tag "for" is disabled'),
        ("{{ products | sort }}", 'filter "sort" is disabled'),
        ("{{ unclosed", "expected '}}'"),
        ("{% assign a = long %}" + "{% assign a = a | append: a %}" * 30, "memory alloc limit exceeded"),
        ("{{ long | replace: 'x', long }}", "memory alloc limit exceeded"),
        (
            "{% capture a %}{{ long }}{{ long }}{% endcapture %}"
            + "{% capture a %}{{ a }}{{ a }}{% endcapture %}" * 18,
            "limit",
        ),
        ("{% assign long = long | append: long %}" * 6 + "{{ long }}" * 2, "output stream limit reached"),
    ],
)
def test_liquid_that_is_not_allowed(template: str, reason: str) -> None:
    """What Segment switches off, what can't be parsed, and text that grows over and over, are errors."""
    mapped = compile_mapping({"a": {"@liquid": template}})

    with pytest.raises(MappingError, match=reason):
        mapped({"long": "x" * 10_000, "products": [2, 1]})


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{% if total > 100 %}big{% else %}small{% endif %}", "big"),
        ("{% if total < 100 or missing < 1 or tags contains 'c' %}yes{% else %}no{% endif %}", "no"),
        ("{% if total >= 120 and total <= 120.0 and name contains 'nn' %}yes{% endif %}", "yes"),
        ("{{ tags }} {{ address }} {{ vip }} {{ missing }}.", "ab [object Object] true ."),
        ("{{ total | divided_by: 7 | round: 2 }}", "17.14"),
        ("{{ paid_at | date: '%-d %B %Y, %H:%M' }}", "31 January 2024, 10:05"),
        ("{{ name | no_such_filter | default: 'you' }}", "Ann"),
    ],
)
def test_liquid(template: str, text: str) -> None:
    """Texts from an event compare as numbers, and values are printed, as LiquidJS does."""
    event = {
        "total": "120",
        "tags": ["a", "b"],
        "address": {"city": "Lublin"},
        "vip": True,
        "name": "Ann",
        "paid_at": "2024-01-31T11:05:00+01:00",
    }

    assert compile_mapping({"a": {"@liquid": template}})(event) == {"a": text}


def test_replacements_stay_bounded() -> None:
    """A replacement that repeats all that stands before each match is refused before it fills the memory."""
    mapped = compile_mapping(
        {"a": {"@replace": {"pattern": "a", "replacement": "$`$`$`$`$`", "value": {"@path": "$.t"}}}}
    )

    assert mapped({"t": "xaa"}) == {"a": "x" * 6 + "xa" * 5}
    with pytest.raises(MappingError, match="too long"):
        mapped({"t": "a" * 32_000})
