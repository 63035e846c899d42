"""The filters of `@liquid` that make text of text, as LiquidJS makes it. Values come in as `plain` gives them."""

import html
import math
import re
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote, unquote

from liquid import is_undefined

from app import jsvalues
from app.jsvalues import UNDEFINED, WHITE_SPACE
from app.pipeline.mapping_check import MappingError

Filter = Callable[..., Any]

MAX_TEXT: Final = 1_000_000
"""Characters that one filter may produce. Segment stops at 100 MB of memory; an event has 32 KB."""

_BLANKS: Final = re.compile(f"[{WHITE_SPACE}]+")


def stringify(value: Any) -> str:
    """How a value is printed: nothing for nil, lists without a separator, objects as `[object Object]`."""
    value = plain(value)
    if isinstance(value, list):
        return "".join(map(stringify, value))
    return "" if value is None or value is UNDEFINED else jsvalues.to_string(value)


def plain(value: Any) -> Any:
    """A value of python-liquid as JSON: its undefined as ours, `empty` as an empty text, a range as a list."""
    if is_undefined(value):
        return UNDEFINED
    if isinstance(value, range):
        return list(value[:MAX_TEXT])
    return value if value is None or isinstance(value, (str, bool, int, float, list, dict)) else ""


def limit(size: int) -> None:
    if size > MAX_TEXT:
        raise MappingError("memory alloc limit exceeded")


def as_number(value: Any) -> float:
    """`+value || 0`."""
    converted = jsvalues.to_number(value)
    return 0.0 if math.isnan(converted) else converted


def textual(change: Callable[[str], str]) -> Filter:
    return lambda value: change(stringify(value))


def _replaced_all(value: Any, pattern: Any, replacement: Any = "") -> str:
    text, sought, insert = stringify(value), stringify(pattern), stringify(replacement)
    limit(len(text) + (text.count(sought) if sought else len(text)) * len(insert))
    # An empty pattern stands between all characters, but not at the ends, as split and join leave it.
    return text.replace(sought, insert) if sought else insert.join(text)


def _replaced_first(value: Any, pattern: Any, replacement: Any = "") -> str:
    return stringify(value).replace(stringify(pattern), stringify(replacement), 1)


def _replace_last(value: Any, pattern: Any, replacement: Any = "") -> str:
    text, sought = stringify(value), stringify(pattern)
    at = text.rfind(sought)
    return text if at < 0 else text[:at] + stringify(replacement) + text[at + len(sought) :]


def _split(value: Any, separator: Any) -> list[str]:
    text, between = stringify(value), stringify(separator)
    parts = text.split(between) if between else list(jsvalues.utf16(text))
    while parts and parts[-1] == "":
        parts.pop()
    return parts


def _truncate(value: Any, size: Any = 50, tail: Any = "...") -> Any:
    text, end, most = stringify(value), stringify(tail), as_number(size)
    if len(text) <= most:
        return value
    return text[: max(int(most) - len(end), 0)] + end


def _truncate_words(value: Any, words: Any = 15, tail: Any = "...") -> str:
    parts = _BLANKS.split(stringify(value).lstrip(WHITE_SPACE))
    number = jsvalues.to_number(words)
    if math.isnan(number):
        return ""
    count = int(min(number, MAX_TEXT)) if number > 0 else 1
    return " ".join(parts[:count]) + (stringify(tail) if len(parts) >= number else "")


def _words(value: Any) -> int:
    text = jsvalues.trim(stringify(value))
    return len(_BLANKS.split(text)) if text else 0


def _stripped(strip: Callable[[str, str], str]) -> Filter:
    return lambda value, characters="": strip(stringify(value), stringify(characters) or WHITE_SPACE)


def _escaped(text: str) -> str:
    return html.escape(text).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")


def _unescaped(text: str) -> str:
    names = {"amp": "&", "lt": "<", "gt": ">", "#34": '"', "#39": "'"}
    return re.sub(r"&(amp|lt|gt|#34|#39);", lambda match: names[match[1]], text)


def _quoted(safe: str) -> Callable[[str], str]:
    def quoted(text: str) -> str:
        if jsvalues.has_surrogates(text):
            raise MappingError("URI malformed")
        return quote(text, safe=safe)

    return quoted


_component: Final = _quoted("!'()*~")


def _decoded(value: Any) -> str:
    try:
        return unquote(stringify(value).replace("+", " "), errors="strict")
    except UnicodeDecodeError:
        raise MappingError("URI malformed") from None


def _strip_html(text: str) -> str:
    """Scripts, styles, comments and tags go; each kind only as long as one is closed. Linear, unlike an expression."""
    closers = {"<script": "</script>", "<style": "</style>", "<!--": "-->", "<": ">"}
    kept, at = [], 0
    while (start := text.find("<", at)) >= 0:
        kept.append(text[at:start])
        at = start
        for opener in [opener for opener in closers if text.startswith(opener, start)]:
            end = text.find(closers[opener], start + len(opener))
            if end >= 0:
                at = end + len(closers[opener])
                break
            del closers[opener]
        if at == start:
            break
    return "".join([*kept, text[at:]])


def _slugify(value: Any, mode: Any = "default", cased: Any = False) -> str:
    text = stringify(value)
    unwanted = {
        "raw": f"[{WHITE_SPACE}]+", "default": r"[\W_]+", "latin": r"[\W_]+", "ascii": "[^A-Za-z0-9]+",
        "pretty": r"[^\w.~!$&'()+,;=@]+",
    }.get(str(mode))  # fmt: skip
    if unwanted:
        text = re.sub(r"^-|-$", "", re.sub(unwanted, "-", text))
    return text if jsvalues.truthy(cased) else text.lower()


TEXT_FILTERS: Final[dict[str, Filter]] = {
    "append": lambda value, more: stringify(value) + stringify(more),
    "capitalize": textual(lambda text: text[:1].upper() + text[1:].lower()),
    "cgi_escape": textual(lambda text: _quoted("~")(text).replace("%20", "+")),
    "downcase": textual(str.lower),
    "escape": textual(_escaped),
    "escape_once": textual(lambda text: _escaped(_unescaped(text))),
    "lstrip": _stripped(str.lstrip),
    "normalize_whitespace": textual(lambda text: _BLANKS.sub(" ", text)),
    "number_of_words": _words,
    "prepend": lambda value, more: stringify(more) + stringify(value),
    "remove": _replaced_all,
    "remove_first": _replaced_first,
    "remove_last": _replace_last,
    "replace": _replaced_all,
    "replace_first": _replaced_first,
    "replace_last": _replace_last,
    "rstrip": _stripped(str.rstrip),
    "slugify": _slugify,
    "split": _split,
    "squish": textual(lambda text: jsvalues.trim(_BLANKS.sub(" ", text))),
    "strip": _stripped(str.strip),
    "strip_html": textual(_strip_html),
    "strip_newlines": textual(lambda text: re.sub(r"\r?\n", "", text)),
    "truncate": _truncate,
    "truncatewords": _truncate_words,
    "upcase": textual(str.upper),
    "uri_escape": textual(_quoted("-_.!~*'();/?:@&=+$,#[]")),
    "url_decode": _decoded,
    "url_encode": textual(lambda text: _component(text).replace("%20", "+")),
    "xml_escape": textual(_escaped),
}
