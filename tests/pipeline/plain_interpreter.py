"""The mapping language once more, as Segment's code has it: looked at anew for every event, slow and short.

It keeps everything undefined until the very end, where the compiled form drops it on the way.
"""

import json
import re
from typing import Any

from app import jsvalues
from app.jsvalues import UNDEFINED, truthy
from app.pipeline.mapping_check import check, is_directive
from app.pipeline.paths import split_path, step


class Failed(Exception):
    """The mapping does not fit the event."""


def transform(mapping: Any, payload: Any) -> Any:
    if payload is UNDEFINED:
        payload = {}
    if not isinstance(payload, dict):
        raise Failed
    check(mapping)
    return jsvalues.remove_undefined(resolve(mapping, payload))


def resolve(mapping: Any, payload: Any) -> Any:
    if is_directive(mapping):
        name = next(key for key in mapping if key.startswith("@"))
        return DIRECTIVES[name](mapping[name], payload)
    if isinstance(mapping, dict):
        return {key: resolve(value, payload) for key, value in mapping.items()}
    return [resolve(item, payload) for item in mapping] if isinstance(mapping, list) else mapping


def get(payload: Any, path: str) -> Any:
    for key in split_path(path):
        payload = step(payload, key)
    return payload


def path(operand: Any, payload: Any) -> Any:
    found = resolve(operand, payload)
    if not isinstance(found, str):
        raise Failed
    return get(payload, found.replace("$.", "", 1))


def if_(options: Any, payload: Any) -> Any:
    if not truthy(options.get("exists", UNDEFINED)) and not truthy(options.get("blank", UNDEFINED)):
        raise Failed
    if "exists" in options:
        value = resolve(options["exists"], payload)
        holds = value is not UNDEFINED and value is not None
    else:
        value = resolve(options["blank"], payload)
        holds = value is not UNDEFINED and value is not None and not jsvalues.loosely_empty(value)
    if holds and "then" in options:
        return resolve(options["then"], payload)
    if not holds and truthy(options.get("else", UNDEFINED)):
        return resolve(options["else"], payload)
    return UNDEFINED


def template(operand: Any, payload: Any) -> Any:
    text = resolve(operand, payload)
    if not isinstance(text, str):
        raise Failed
    for pattern in (r"\{\{\{([^}]+)\}\}\}", r"\{\{([^}]+)\}\}"):
        text = re.sub(pattern, lambda found: filled(payload, found[1]), text)
    return text


def filled(payload: Any, place: str) -> str:
    value = get({} if payload is UNDEFINED else payload, jsvalues.trim(place))
    return "" if value is None or value is UNDEFINED else jsvalues.to_string(value)


def case(options: Any, payload: Any) -> Any:
    if not truthy(options.get("operator", UNDEFINED)):
        raise Failed
    value = resolve(options["value"], payload) if truthy(options.get("value", UNDEFINED)) else UNDEFINED
    if not isinstance(value, str):
        return value
    if options["operator"] not in ("lower", "upper"):
        raise Failed
    return value.lower() if options["operator"] == "lower" else value.upper()


def replace(options: Any, payload: Any) -> Any:
    if not truthy(options["value"]):
        return UNDEFINED
    value = resolve(options["value"], payload)
    if isinstance(value, (bool, int, float)):
        value = jsvalues.to_string(value)
    if not isinstance(value, str):
        return ""
    flags = re.IGNORECASE if options.get("ignorecase") else re.NOFLAG
    count = 0 if options.get("global", True) else 1
    return re.sub(
        re.escape(options["pattern"]), lambda _: options.get("replacement", ""), value, count=count, flags=flags
    )


def json_(options: Any, payload: Any) -> Any:
    if not truthy(options["value"]):
        raise Failed
    value = resolve(options["value"], payload)
    if options["mode"] == "encode":
        return jsvalues.stringify(value)
    if options["mode"] != "decode":
        return UNDEFINED
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value


def array_path(operand: Any, payload: Any) -> Any:
    first, shape = (*operand, UNDEFINED, UNDEFINED)[:2]
    root = get(payload, first.replace("$.", "", 1)) if isinstance(first, str) else resolve(first, payload)
    if isinstance(root, (dict, list)) and isinstance(shape, dict) and shape:
        return [resolve(shape, item) for item in (root if isinstance(root, list) else [root])]
    return root


def merge(options: Any, payload: Any) -> Any:
    if "direction" not in options:
        raise Failed
    values = [resolve(item, payload) for item in options["objects"]]
    merged: dict[str, Any] = {}
    for value in reversed(values) if options["direction"] == "left" else values:
        merged |= dict(jsvalues.entries(value))
    return merged


def flatten(options: Any, payload: Any) -> Any:
    if not truthy(options.get("separator", UNDEFINED)):
        raise Failed
    return flattened(resolve(options["value"], payload), "", options["separator"])


def flattened(value: Any, prefix: str, separator: str) -> dict[str, Any]:
    if not isinstance(value, (dict, list)):
        return {prefix: value}
    flat: dict[str, Any] = {}
    for key, member in jsvalues.entries(value):
        flat |= flattened(member, f"{prefix}{separator}{key}" if prefix else key, separator)
    return flat


def exclude_when_null(operand: Any, payload: Any) -> Any:
    value = resolve(operand, payload)
    return UNDEFINED if value is None else without_nulls(value)


def without_nulls(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {key: UNDEFINED if member is None else without_nulls(member) for key, member in value.items()}


def transform_(options: Any, payload: Any) -> Any:
    if not truthy(options["mapping"]) or not isinstance(options["apply"], dict):
        raise Failed
    return resolve(options["mapping"], transform(options["apply"], payload))


DIRECTIVES = {
    "@path": path,
    "@template": template,
    "@case": case,
    "@replace": replace,
    "@json": json_,
    "@if": if_,
    "@arrayPath": array_path,
    "@merge": merge,
    "@flatten": flatten,
    "@literal": resolve,
    "@excludeWhenNull": exclude_when_null,
    "@transform": transform_,
}
