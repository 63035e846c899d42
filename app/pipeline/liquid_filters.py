"""The filters that `@liquid` templates may use, on JavaScript's values: those of LiquidJS that Segment leaves switched
on.

python-liquid's own filters count in Python's numbers, print `None` and `{'a': 1}`, and refuse what LiquidJS converts;
these do not. Arguments that are missing or undefined take the default, too many are ignored.
"""

import base64
import binascii
import hashlib
import hmac
import html
import inspect
import math
import re
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote, unquote

from liquid import is_undefined

from app import jsvalues
from app.jsvalues import UNDEFINED, WHITE_SPACE
from app.pipeline import liquid_dates
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


def compile_filter(name: str, function: Filter) -> Filter:
    """The function as python-liquid calls it: any arguments in, plain values through, and no more text out than
    allowed.
    """
    parameters = list(inspect.signature(function).parameters.values())
    defaults = [parameter.default for parameter in parameters]

    def filtered(value: Any, *given: Any, **named: Any) -> Any:
        arguments = [plain(value), *map(plain, given)][: len(parameters)]
        if name == "default":
            return function(*arguments[:2], *[UNDEFINED] * (2 - len(arguments)), named.get("allow_false", False))
        arguments += [UNDEFINED] * (len(parameters) - len(arguments))
        for index, default in enumerate(defaults):
            if arguments[index] is UNDEFINED and default is not inspect.Parameter.empty:
                arguments[index] = default
        result = function(*arguments)
        if isinstance(result, str):
            _limit(len(result))
        return result

    return filtered


def _limit(size: int) -> None:
    if size > MAX_TEXT:
        raise MappingError("memory alloc limit exceeded")


def _number(value: Any) -> float:
    number = jsvalues.to_number(value)
    return 0.0 if math.isnan(number) else number


def _numeric(compute: Callable[[float, float], float]) -> Filter:
    return lambda left, right: compute(_number(left), _number(right))


def _textual(change: Callable[[str], str]) -> Filter:
    return lambda value: change(stringify(value))


def _divided(dividend: float, divisor: float) -> float:
    if divisor:
        return dividend / divisor
    if not dividend or math.isnan(dividend):
        return math.nan
    return math.copysign(math.inf, dividend) * math.copysign(1, divisor)


def _divided_by(dividend: Any, divisor: Any, whole: Any = 0) -> float:
    quotient = _divided(_number(dividend), _number(divisor))
    return _whole(math.floor, quotient) if _number(whole) else quotient


def _modulo(left: float, right: float) -> float:
    if not right or math.isinf(left):
        return math.nan
    return math.fmod(math.fmod(left, right) + right, right)


def _whole(function: Callable[[float], int], number: float) -> float:
    return float(function(number)) if math.isfinite(number) else number


def _round(value: Any, places: Any = 0) -> float:
    number, digits = _number(value), _number(places)
    scaled = _shifted(abs(number), digits)
    if not scaled <= jsvalues.MAX_SAFE_INTEGER - 1:
        return number
    rounded = _shifted(math.floor(scaled + 0.5), -digits)
    return -rounded if number < 0 else rounded


def _shifted(number: float, exponent: float) -> float:
    mantissa, _, power = jsvalues.number_to_string(number).partition("e")
    return jsvalues.to_number(f"{mantissa}e{jsvalues.number_to_string(float(power or 0) + exponent)}")


def _list(value: Any) -> list[Any]:
    if value is None or value is UNDEFINED:
        return []
    return value if isinstance(value, list) else [value]


def _join(value: Any, separator: Any = " ") -> str:
    between = " " if separator is None else stringify(separator)
    parts = ["" if item is None or item is UNDEFINED else jsvalues.to_string(item) for item in _list(value)]
    _limit(sum(map(len, parts)) + len(between) * len(parts))
    return between.join(parts)


def _end(index: int) -> Filter:
    def end(value: Any) -> Any:
        if isinstance(value, list):
            return value[index] if value else UNDEFINED
        return value[index] if isinstance(value, str) and value else ""

    return end


def _size(value: Any) -> Any:
    if isinstance(value, str):
        return jsvalues.length(value)
    return len(value) if isinstance(value, list) else 0


def _read(item: Any, path: str) -> Any:
    for key in path.split("."):
        item = item.get(key, UNDEFINED) if isinstance(item, dict) else UNDEFINED
    return item


def _sum(value: Any, field: Any = UNDEFINED) -> float:
    items = [_read(item, stringify(field)) if field else item for item in _list(value)]
    return sum(_number(item) if item is not UNDEFINED else 0.0 for item in items)


def _where(value: Any, field: Any, wanted: Any = UNDEFINED) -> list[Any]:
    path = stringify(field)

    def fits(item: Any) -> bool:
        found = _read(item, path)
        if wanted is UNDEFINED:
            return found is not UNDEFINED and found is not None and found is not False
        return jsvalues.type_of(found) == jsvalues.type_of(wanted) and bool(found == wanted)

    return [item for item in _list(value) if fits(item)]


def _slice(value: Any, begin: Any, length: Any = 1) -> Any:
    if value is None or value is UNDEFINED:
        return []
    sequence = value if isinstance(value, list) else stringify(value)
    start, count = (int(max(min(_number(number), MAX_TEXT), -MAX_TEXT)) for number in (begin, length))
    start += len(sequence) if start < 0 else 0
    return sequence[start : start + count] if start >= 0 and count >= 0 else sequence[:0]


def _replaced_all(value: Any, pattern: Any, replacement: Any = "") -> str:
    text, sought, insert = stringify(value), stringify(pattern), stringify(replacement)
    _limit(len(text) + (text.count(sought) if sought else len(text)) * len(insert))
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
    text, end, limit = stringify(value), stringify(tail), _number(size)
    if len(text) <= limit:
        return value
    return text[: max(int(limit) - len(end), 0)] + end


def _truncate_words(value: Any, words: Any = 15, tail: Any = "...") -> str:
    parts = _BLANKS.split(stringify(value).lstrip(WHITE_SPACE))
    count = max(int(min(_number(words), MAX_TEXT)), 1)
    return " ".join(parts[:count]) + (stringify(tail) if len(parts) >= count else "")


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


def _default(value: Any, fallback: Any, allow_false: Any) -> Any:
    if isinstance(value, (list, str)):
        return value or fallback
    if value is False and allow_false:
        return False
    return fallback if value is None or value is UNDEFINED or value is False else value


def _json(value: Any, indent: Any = 0) -> Any:
    text = jsvalues.stringify(value)
    if not jsvalues.truthy(indent) or text is UNDEFINED:
        return text
    raise MappingError("@liquid: the filter json takes no indentation here")


def _base64_decoded(value: Any) -> str:
    text = re.sub(r"[\t\n\f\r ]", "", stringify(value))
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True).decode("utf-8", "replace")
    except binascii.Error:
        raise MappingError("invalid base64 provided to base64_decode") from None


def _bytes(value: Any) -> bytes:
    return stringify(value).encode("utf-8", "replace")


FILTERS: Final[dict[str, Filter]] = {
    "abs": lambda value: abs(_number(value)),
    "append": lambda value, more: stringify(value) + stringify(more),
    "at_least": lambda value, least=-math.inf: max(_number(value), _number(least)),
    "at_most": lambda value, most=math.inf: min(_number(value), _number(most)),
    "base64_decode": _base64_decoded,
    "base64_encode": lambda value: base64.b64encode(_bytes(value)).decode(),
    "capitalize": _textual(lambda text: text[:1].upper() + text[1:].lower()),
    "ceil": lambda value: _whole(math.ceil, _number(value)),
    "cgi_escape": _textual(lambda text: _quoted("~")(text).replace("%20", "+")),
    "compact": lambda value: [item for item in _list(value) if item is not None and item is not UNDEFINED],
    "date": liquid_dates.date,
    "date_to_long_string": liquid_dates.date_to_long_string,
    "date_to_rfc822": liquid_dates.date_to_rfc822,
    "date_to_string": liquid_dates.date_to_string,
    "date_to_xmlschema": liquid_dates.date_to_xmlschema,
    "default": _default,
    "divided_by": _divided_by,
    "downcase": _textual(str.lower),
    "escape": _textual(_escaped),
    "escape_once": _textual(lambda text: _escaped(_unescaped(text))),
    "first": _end(0),
    "floor": lambda value: _whole(math.floor, _number(value)),
    "hmac_sha256": lambda value, key: hmac.new(_bytes(key), _bytes(value), hashlib.sha256).hexdigest(),
    "inspect": _json,
    "join": _join,
    "json": _json,
    "jsonify": _json,
    "last": _end(-1),
    "lstrip": _stripped(str.lstrip),
    "minus": _numeric(lambda left, right: left - right),
    "modulo": _numeric(_modulo),
    "normalize_whitespace": _textual(lambda text: _BLANKS.sub(" ", text)),
    "number_of_words": _words,
    "plus": _numeric(lambda left, right: left + right),
    "pop": lambda value: _list(value)[:-1],
    "prepend": lambda value, more: stringify(more) + stringify(value),
    "push": lambda value, item: [*_list(value), item],
    "raw": lambda value: value,
    "remove": _replaced_all,
    "remove_first": _replaced_first,
    "remove_last": _replace_last,
    "replace": _replaced_all,
    "replace_first": _replaced_first,
    "replace_last": _replace_last,
    "round": _round,
    "rstrip": _stripped(str.rstrip),
    "sha256": lambda value: hashlib.sha256(_bytes(value)).hexdigest(),
    "shift": lambda value: _list(value)[1:],
    "size": _size,
    "slice": _slice,
    "slugify": _slugify,
    "split": _split,
    "squish": _textual(lambda text: jsvalues.trim(_BLANKS.sub(" ", text))),
    "strip": _stripped(str.strip),
    "strip_html": _textual(_strip_html),
    "strip_newlines": _textual(lambda text: re.sub(r"\r?\n", "", text)),
    "sum": _sum,
    "times": _numeric(lambda left, right: left * right),
    "to_integer": jsvalues.to_number,
    "truncate": _truncate,
    "truncatewords": _truncate_words,
    "unshift": lambda value, item: [item, *_list(value)],
    "upcase": _textual(str.upper),
    "uri_escape": _textual(_quoted("-_.!~*'();/?:@&=+$,#[]")),
    "url_decode": _decoded,
    "url_encode": _textual(lambda text: _component(text).replace("%20", "+")),
    "where": _where,
    "xml_escape": _textual(_escaped),
}

DISABLED_FILTERS: Final = frozenset(
    {
        "array_to_sentence_string", "concat", "find", "find_exp", "find_index", "find_index_exp", "group_by",
        "group_by_exp", "has", "has_exp", "map", "newline_to_br", "reject", "reject_exp", "reverse", "sort",
        "sort_natural", "uniq", "where_exp", "type",
    }
)  # fmt: skip
"""Switched off by Segment. All other unknown names pass the value through."""
