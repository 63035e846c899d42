"""What a person should know about a trigger: how Segment reads it, and how to write what they meant.

The text is read twice, by Segment's rules and by a person's. Where the two differ in what they take, each slip that a
person is known to make is named; where they agree, only corners of Segment's operators are.
"""

from collections.abc import Iterator
from typing import Final

from app.pipeline.lint_events import TYPES, TYPES_WITH
from app.pipeline.lint_finding import Finding
from app.pipeline.lint_meaning import (
    EVERY_EVENT,
    NEVER,
    Either,
    Every,
    Meaning,
    Unsayable,
    as_meaning,
    conditions,
    contradict,
    in_words,
    same,
    simplified,
)
from app.pipeline.lint_person import LONGEST, understand
from app.pipeline.lint_words import NotUnderstood, Slip
from app.pipeline.lint_write import Written, written
from app.pipeline.trigger_lexer import TriggerError
from app.pipeline.trigger_reading import Condition, read

_SENTENCES: Final = {
    "mixed-connectors": "`and` and `or` stand on one level, and Segment lets the last one hold for all of it.",
    "not-closed": "A parenthesis is opened and not closed.",
    "swapped-arguments": "In {piece}() the field comes first and the text after it: its arguments are swapped.",
    "word-is-text": '`{piece}` is a text here: Segment looks for the word "{piece}".',
    "nested-parentheses": "Parentheses inside parentheses: Segment's do not nest, the first `)` closes them.",
    "function-in-parentheses": "{piece}() stands in parentheses: its own `)` closes them for Segment, and what follows "
    "stands outside.",
    "not-ignored": "`{piece}` counts only directly before contains( and match(; before anything else Segment ignores "
    "it or can't read it.",
    "connector-ignored": "`{piece}` is no connector: only small letters are, others are ignored, which leaves `and`.",
    "not-a-sign": "`{piece}` can't be read: the connectors are `and` and `or`.",
    "no-connector": "There is no `and` or `or` before {piece}: what the level says elsewhere holds, else `and`.",
    "single-quotes": "{piece} is in single quotes, which Segment takes for a part of the text. Use double quotes.",
    "curly-quotes": "{piece} is in typographic quotes, which can't be read. Use straight double quotes.",
    "no-quotes": "{piece} has no quotes: Segment takes the first word for the value and ignores the rest.",
    "no-space": "There is no white space around the operator or after the text in `{piece}`, and Segment needs one.",
    "not-an-operator": "`{piece}` is no operator of Segment's; there are = != < <= > >=.",
    "operator-in-words": "`{piece}` between field and value works, but is not documented: contains( and match( are.",
    "not-a-value": "`{piece}` is a text to Segment; the words are true, false and null, in small letters.",
    "exponent": "The number {piece} is not read whole: digits and one point are all it may have.",
    "unknown-field": "Segment knows no field {piece} and leaves the condition out, as if it were not there.",
    "deep-in-scalar": "Of {piece} Segment reads the first word alone.",
    "whole-object": "{piece} stands for a field of the same name inside {piece}, not for {piece} itself.",
    "brackets": "The brackets in {piece} can't be read; they must be escaped with \\.",
    "no-such-function": "{piece}() is no function of Segment's: there are contains and match, in small letters.",
    "function-of-type": "Segment leaves {piece}() out where it looks at the type.",
    "match-without-star": "Without a star at an end, match drops the first character of {piece} and looks for texts "
    "that end in the rest.",
    "match-two-stars": "match has one star and takes the other in {piece} for a plain character; contains finds a text "
    "anywhere.",
    "match-inner-star": "A star inside {piece} is a plain character to match.",
    "no-list": "`{piece}` and lists are not in Segment's language: the condition never holds.",
    "not-a-number": "{piece} never holds: <, <=, > and >= compare numbers alone, and dates are texts.",
    "number-in-quotes": "{piece} is compared as a number all the same; a number needs no quotes.",
    "null-text": '{piece} compares with the text "null": Segment can\'t see whether type or event is missing.',
    "not-true": "{piece} compares with a text, so it holds for true and false alike.",
}
"""By the code of the slip."""

_HARMLESS: Final = frozenset(
    {"connector-ignored", "word-is-text", "operator-in-words", "not-a-value", "no-connector", "number-in-quotes"}
)
"""Slips that are worth a note where they change nothing."""
_RIGHT: Final = frozenset({"operator-in-words", "number-in-quotes"})
"""Slips that Segment reads as they are meant."""


def lint_trigger(text: str) -> list[Finding]:
    """All that is to be known about a trigger; empty where it does what it says and says all it does."""
    try:
        reads: Meaning | None = as_meaning(read(text))
        refused = ""
    except TriggerError as fault:
        reads, refused = None, fault.sentence
    if len(text) > LONGEST and reads is not None:
        return [Finding("too-long", "note", "It is too long to be looked at any closer.")]
    try:
        meant, slips = understand(text)
    except NotUnderstood as fault:
        return [_not_understood(reads, refused, str(fault))]
    if reads is None:
        return _differences(meant, slips, None, refused)
    if not same(meant, reads):
        return [*_differences(meant, slips, reads, ""), *_takes_nothing(reads)]
    return [
        *(_slip(slip, _level(slip), written(meant)) for slip in slips if slip.code in _HARMLESS),
        *_said_twice(reads),
        *_corners(simplified(reads)),
        *_takes_nothing(reads),
    ]


def _not_understood(reads: Meaning | None, refused: str, fault: str) -> Finding:
    if reads is None:
        return Finding("cannot-be-read", "error", f"Segment can't read it, so no event is taken. {refused}")
    sentence = f"{fault} Segment reads what it can and passes over the rest."
    return Finding("not-an-expression", "warning", sentence, reads_as=in_words(simplified(reads)))


def _differences(meant: Meaning, slips: list[Slip], reads: Meaning | None, refused: str) -> list[Finding]:
    """The slips that make Segment's reading another one, or one that fails."""
    instead = written(meant)
    level = "error" if reads is None else "warning"
    reads_as = None if reads is None else in_words(simplified(reads))
    findings = [_slip(slip, level, instead, reads_as) for slip in slips if slip.code not in _RIGHT]
    if reads is None:
        sentence = f"Segment can't read it, so no event is taken. {refused}"
        findings.insert(0, _finding("cannot-be-read", level, sentence, instead, None))
    elif not findings:
        findings = [_finding("reads-otherwise", level, "Segment reads it otherwise than it says.", instead, reads_as)]
    return findings


def _level(slip: Slip) -> str:
    """Of a slip that changes nothing in how the trigger is read."""
    return "warning" if slip.code == "word-is-text" else "note"


def _slip(slip: Slip, level: str, instead: Written, reads_as: str | None = None) -> Finding:
    return _finding(slip.code, level, _SENTENCES[slip.code].format(piece=slip.piece), instead, reads_as)


def _finding(code: str, level: str, sentence: str, instead: Written, reads_as: str | None) -> Finding:
    assert level in ("error", "warning", "note")
    whole = f"{sentence} {instead.reason}".strip()
    return Finding(code, level, whole, reads_as, instead.trigger, instead.split)  # type: ignore[arg-type]


def _corners(meaning: Meaning) -> Iterator[Finding]:
    """What Segment's operators do that a person may not expect, with the form that does otherwise."""
    for condition in dict.fromkeys(conditions(meaning)):
        if not isinstance(condition, Condition) or not condition.keys:
            continue
        name, shown = ".".join(condition.keys), in_words(condition)
        if condition.operator == "!=" and condition != EVERY_EVENT and not _pinned(meaning, condition):
            present = Every((condition, Condition(condition.keys, "exists", "null")))
            yield _corner(
                "missing-is-unequal", f"It also holds for events that have no {name}.", meaning, condition, present
            )
        elif condition.operator == "number_not_equals":
            absent = Either((condition, Condition(condition.keys, "not_exists", "null")))
            yield _corner(
                "missing-is-no-number",
                f"It does not hold where {name} is missing or no number.",
                meaning,
                condition,
                absent,
            )
        elif condition.operator == "=" and len(condition.keys) > 1 and _is_number(condition.value):
            number = Condition(condition.keys, "number_equals", float(condition.value))
            yield _corner(
                "text-is-no-number", f"It takes the text alone: where {name} is a number it never holds.",
                meaning, condition, number,
            )  # fmt: skip
        elif condition.keys == ("type",) and condition.operator == "=" and condition.value not in TYPES:
            right = condition.value.lower()
            better = Condition(("type",), "=", right) if right in TYPES else None
            sentence = f'No event is of the type "{condition.value}": there are {", ".join(TYPES)}.'
            yield _corner("unknown-type", sentence, meaning, condition, better, level="warning", reads_as=shown)


def _corner(
    code: str, sentence: str, whole: Meaning, condition: Condition, instead: Meaning | None,
    *, level: str = "note", reads_as: str | None = None,
) -> Finding:  # fmt: skip
    form = written(_replaced(whole, condition, instead)) if instead else Written(None)
    return _finding(code, level, sentence, Written(form.trigger, form.split), reads_as or in_words(whole))


def _replaced(meaning: Meaning, condition: Condition, instead: Meaning) -> Meaning:
    if isinstance(meaning, (Condition, Unsayable)):
        return instead if meaning == condition else meaning
    return type(meaning)(tuple(_replaced(item, condition, instead) for item in meaning.items))


def _pinned(meaning: Meaning, condition: Condition) -> bool:
    """Whether another condition beside it makes sure that the field is there."""
    if isinstance(meaning, Every) and condition in meaning.items:
        return any(
            isinstance(other, Condition)
            and (
                (other.keys == condition.keys and other.operator not in ("!=", "not_exists"))
                or (condition.keys == ("event",) and other == Condition(("type",), "=", "track"))
                or condition.keys == ("type",)
            )
            for other in meaning.items
        )
    if isinstance(meaning, (Every, Either)):
        return any(_pinned(item, condition) for item in meaning.items)
    return condition.keys == ("type",)


def _is_number(text: str) -> bool:
    return text.strip() == text and text.replace(".", "", 1).isdecimal() and text.isascii()


def _said_twice(reads: Meaning) -> Iterator[Finding]:
    if isinstance(reads, (Every, Either)):
        for item in dict.fromkeys(item for item in reads.items if reads.items.count(item) > 1):
            yield Finding("said-twice", "note", f"It says twice that {in_words(item)}.", in_words(reads))


def _takes_nothing(reads: Meaning) -> Iterator[Finding]:
    """Conditions of one `and` that no event can meet together."""
    meaning = simplified(reads)
    levels = meaning.items if isinstance(meaning, Either) else (meaning,)
    for level in levels:
        together = [
            item for item in (level.items if isinstance(level, Every) else (level,)) if isinstance(item, Condition)
        ]
        why = _impossible(together)
        if why:
            part = "" if level is meaning else f"The part ({in_words(level)}) "
            sentence = f"{part or 'It '}takes no event: {why}."
            yield Finding("takes-nothing", "warning", sentence, reads_as=in_words(meaning))


def _impossible(together: list[Condition]) -> str:
    if NEVER in together:
        return "one of its conditions never holds"
    for index, one in enumerate(together):
        for other in together[:index]:
            if contradict(one, other):
                return f"{in_words(other)} and {in_words(one)} can't both hold"
    types = [condition.value for condition in together if condition.keys == ("type",) and condition.operator == "="]
    for condition in together:
        field = (condition.keys or ("",))[0]
        needs = condition.operator not in ("!=", "not_exists")
        for kind in types:
            if needs and kind in TYPES and kind not in TYPES_WITH.get(field, TYPES):
                return f"events of type {kind} have no {field} of their own"
    return ""
