"""Looking things up in an event: the paths and `{{ templates }}` of the mapping language, compiled.

A path such as `$.properties.products[0].sku` walks down one key at a time. The walk has one surprise, Segment's own: it
stops at the first value that counts as false and *gives that value*, so `$.traits.email` is null where traits is null.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from app import jsvalues
from app.jsvalues import UNDEFINED

Resolve = Callable[[Any], Any]
"""Takes the event (or the item of a list) and gives a value, `UNDEFINED` where there is none."""

_SEPARATOR: Final = re.compile(r"""\[(?=["'0-9])|\.|(?<=["'0-9])\]+""")


def split_path(path: str) -> tuple[str, ...]:
    """The keys that a path walks down: `a["b"].c[0]` gives `a`, `b`, `c`, `0`. The empty path and `.` are the root."""
    if path == ".":
        return ()
    return tuple(re.sub("['\"]", "", part) for part in _SEPARATOR.split(path) if part)


def path_keys(path: str) -> tuple[str, ...]:
    """The keys of an `@path`: its first `$.` goes, wherever it stands; `$` alone is a key like any other."""
    return split_path(path.replace("$.", "", 1))


def step(value: Any, key: str) -> Any:
    """`value && value[key]`, for any JSON value. Inherited members (`constructor`, …) are undefined."""
    if isinstance(value, dict):
        return value.get(key, UNDEFINED)
    if not jsvalues.truthy(value):
        return value
    if isinstance(value, list):
        if key == "length":
            return len(value)
        if jsvalues.is_array_index(key) and int(key) < len(value):
            return value[int(key)]
    elif isinstance(value, str):
        if key == "length":
            return jsvalues.length(value)
        if jsvalues.is_array_index(key) and int(key) < jsvalues.length(value):
            return jsvalues.utf16(value)[int(key)]
    return UNDEFINED


@lru_cache(maxsize=4096)
def compile_path(path: str) -> Resolve:
    """A function that looks the path up. Bounded cache, because a path may itself come out of an event."""
    return compile_keys(split_path(path))


def compile_keys(keys: tuple[str, ...]) -> Resolve:
    """A function that walks down the keys, unrolled for the lengths that nearly all mappings have."""
    match keys:
        case ():
            return lambda payload: payload
        case (first,):

            def one(payload: Any) -> Any:
                if type(payload) is dict:
                    return payload.get(first, UNDEFINED)
                return step(payload, first)

            return one
        case (first, second):

            def two(payload: Any) -> Any:
                value = payload.get(first, UNDEFINED) if type(payload) is dict else step(payload, first)
                if type(value) is dict:
                    return value.get(second, UNDEFINED)
                return step(value, second) if value is not UNDEFINED else UNDEFINED

            return two
        case (first, second, third):

            def three(payload: Any) -> Any:
                value = payload.get(first, UNDEFINED) if type(payload) is dict else step(payload, first)
                value = value.get(second, UNDEFINED) if type(value) is dict else step(value, second)
                if type(value) is dict:
                    return value.get(third, UNDEFINED)
                return step(value, third) if value is not UNDEFINED else UNDEFINED

            return three

    def many(payload: Any) -> Any:
        value = payload
        for key in keys:
            value = value.get(key, UNDEFINED) if type(value) is dict else step(value, key)
        return value

    return many


@lru_cache(maxsize=1024)
def compile_template(template: str) -> Callable[[Any], str]:
    """A function that fills the placeholders of a text.

    `{{{a}}}` is filled first and what it inserts is searched again for `{{b}}`; what `{{b}}` inserts is not. Neither
    escapes anything. A path without a value leaves nothing.
    """
    texts, paths = _placeholders(template, 3)
    if not paths:
        return compile_template_pass(template)
    first = _compile_fill(texts, paths)
    return lambda payload: compile_template_pass(first(payload))(payload)


@lru_cache(maxsize=1024)
def compile_template_pass(template: str) -> Callable[[Any], str]:
    """The second pass alone: `{{…}}` in a text that the first pass has filled."""
    return _compile_fill(*_placeholders(template, 2))


def _placeholders(template: str, braces: int) -> tuple[list[str], list[str]]:
    """The texts around the placeholders of that many braces, and the paths inside them.

    As `{{([^}]+)}}` finds them, but in linear time: the text of the second pass may come from an event, and 32 KB of
    `{` kept the regular expression busy for a second.
    """
    texts, paths, done, at = [], [], 0, 0
    while (start := template.find("{" * braces, at)) >= 0 and (end := template.find("}", start)) >= 0:
        at = end + 1
        if end > start + braces and template.startswith("}" * braces, end):
            texts.append(template[done:start])
            paths.append(template[start + braces : end])
            done = at = end + braces
    return [*texts, template[done:]], paths


def _compile_fill(texts: list[str], paths: list[str]) -> Callable[[Any], str]:
    head = texts[0]
    if not paths:
        return lambda _payload: head
    pairs = tuple(zip([compile_path(jsvalues.trim(path)) for path in paths], texts[1:], strict=True))

    def fill(payload: Any) -> str:
        filled = head
        for lookup, text in pairs:
            value = lookup(payload)
            if type(value) is not str:
                value = "" if value is None or value is UNDEFINED else jsvalues.to_string(value)
            filled += value + text
        return filled

    return fill
