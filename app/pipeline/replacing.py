"""What `@replace` does to a text: a literal pattern, and JavaScript's meaning of `$` and of the flag `i`."""

import re
from collections.abc import Callable
from typing import Final

from app import jsvalues
from app.pipeline.mapping_check import MAX_PATTERN_LENGTH, MAX_REPLACEMENT_LENGTH, MappingError, fails

MAX_TEXT: Final = 10_000_000
"""Code units that may be inserted. `$`` inserts all that stands before, so that 32 KB could become gigabytes."""

_PATTERNS: Final = re.compile(r"\$([$&`'])")


def compile_replace(pattern: str, replacement: str, *, ignorecase: bool, every: bool) -> Callable[[str], str]:
    """What `text.replace(new RegExp(pattern, flags), replacement)` does, for a pattern taken literally."""
    if jsvalues.length(pattern) > MAX_PATTERN_LENGTH:
        return fails(f'@replace requires a "pattern" less than {MAX_PATTERN_LENGTH} characters')
    if jsvalues.length(replacement) > MAX_REPLACEMENT_LENGTH:
        return fails(f'@replace requires a "replacement" less than {MAX_REPLACEMENT_LENGTH} characters')
    if not ignorecase and "$" not in replacement and not jsvalues.has_surrogates(pattern):
        return lambda text: text.replace(pattern, replacement, -1 if every else 1)
    units, insert = jsvalues.utf16(pattern), jsvalues.utf16(replacement)
    fold: Callable[[str], str] = jsvalues.fold_case if ignorecase else str
    sought = fold(units)

    def replace(text: str) -> str:
        whole = jsvalues.utf16(text)
        folded = fold(whole)
        parts, done, size = [], 0, 0
        at = folded.find(sought)
        while at >= 0:
            end = at + len(sought)
            parts += [whole[done:at], _expand(insert, whole, at, end)]
            size += len(parts[-1])
            if size > MAX_TEXT:
                raise MappingError("@replace makes the text too long.")
            done = end
            at = folded.find(sought, end) if every else -1
        return jsvalues.joined("".join([*parts, whole[done:]]))

    return replace


def _expand(template: str, text: str, start: int, end: int) -> str:
    """A replacement with its `$` patterns filled in; `$1` and `$<name>` stay, for there are no groups."""
    meanings = {"$": "$", "&": text[start:end], "`": text[:start], "'": text[end:]}
    return _PATTERNS.sub(lambda match: meanings[match[1]], template)
