"""The thirteen directives of the mapping language, each compiled once into a plain function of the event.

A directive's compiler takes its operand and gives that function. What Segment would only find out with an event in hand
(directives inside lists are not checked beforehand) becomes a function that raises, so that a branch that is never
taken never fails. `raw` says that what is undefined must stay visible in the result, because a directive outside counts
on it: `@merge` lets an undefined value overwrite, `@flatten` and `@arrayPath` drop it.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from app import jsvalues
from app.jsvalues import UNDEFINED, type_of
from app.pipeline import liquid
from app.pipeline.mapping_check import MappingError, fails
from app.pipeline.paths import Resolve, compile_keys, compile_template, path_keys
from app.pipeline.replacing import compile_replace


class Compiler(NamedTuple):
    """What the directives need of the language around them: `value(mapping, raw)` and `transform(mapping)`."""

    value: Callable[[Any, bool], Resolve]
    transform: Callable[[Any], Resolve]


Directive = Callable[[Any, Compiler, bool], Resolve]


def _nothing(_payload: Any) -> Any:
    return UNDEFINED


def _cleaned(resolve: Resolve, *, raw: bool) -> Resolve:
    return resolve if raw else lambda payload: jsvalues.clean(value) if (value := resolve(payload)) else value


def _if(options: Any, compiler: Compiler, raw: bool) -> Resolve:
    if not isinstance(options, dict):
        return fails('@if requires an object with an "exists" key')
    if not jsvalues.truthy(options.get("exists", UNDEFINED)) and not jsvalues.truthy(options.get("blank", UNDEFINED)):
        return fails('@if requires an "exists" key or a "blank" key')
    then = compiler.value(options["then"], raw) if "then" in options else _nothing
    # An `else` of "", 0, false or null counts as no `else`; a `then` of the same is kept. Segment's asymmetry.
    otherwise = compiler.value(options["else"], raw) if jsvalues.truthy(options.get("else", UNDEFINED)) else _nothing
    if "exists" in options:
        exists = compiler.value(options["exists"], False)

        def if_exists(payload: Any) -> Any:
            value = exists(payload)
            return otherwise(payload) if value is None or value is UNDEFINED else then(payload)

        return if_exists
    blank = compiler.value(options["blank"], False)

    def if_not_blank(payload: Any) -> Any:
        value = blank(payload)
        empty = value is None or value is UNDEFINED or jsvalues.loosely_empty(value)
        return otherwise(payload) if empty else then(payload)

    return if_not_blank


def _case(options: Any, compiler: Compiler, raw: bool) -> Resolve:
    if not isinstance(options, dict):
        return fails('@case requires an object with a "operator" key')
    operator = options.get("operator", UNDEFINED)
    if not jsvalues.truthy(operator):
        return fails('@case requires a "operator" key')
    if not jsvalues.truthy(options.get("value", UNDEFINED)):
        return _nothing
    resolve = compiler.value(options["value"], raw)
    convert = {"lower": str.lower, "upper": str.upper}.get(operator) if isinstance(operator, str) else None

    def change_case(payload: Any) -> Any:
        value = resolve(payload)
        if not isinstance(value, str):
            return value
        if convert is None:
            raise MappingError('operator key should have a value of "lower" or "upper"')
        return convert(value)

    return change_case


def _replace(options: Any, compiler: Compiler, _raw: bool) -> Resolve:
    if not isinstance(options, dict) or not jsvalues.truthy(options.get("pattern", UNDEFINED)):
        key = 'requires a "pattern" key' if isinstance(options, dict) else 'requires an object with a "pattern" key'
        return fails(f"@replace {key}")
    if not jsvalues.truthy(options.get("value", UNDEFINED)):
        return _nothing
    resolve = compiler.value(options["value"], False)

    def option(name: str, default: Any) -> Any:
        return default if options.get(name) is None else options[name]

    pattern, replacement = options["pattern"], option("replacement", "")
    ignorecase, every = option("ignorecase", False), option("global", True)
    usable = (
        isinstance(pattern, str)
        and isinstance(replacement, str)
        and isinstance(ignorecase, bool)
        and isinstance(every, bool)
    )
    steps = [(pattern, replacement)]
    second, second_replacement = options.get("pattern2"), option("replacement2", "")
    if second and isinstance(second, str) and isinstance(second_replacement, str):
        steps.append((second, second_replacement))
    replacers = [compile_replace(*step, ignorecase=ignorecase, every=every) for step in steps] if usable else []

    def replace(payload: Any) -> Any:
        value = resolve(payload)
        if isinstance(value, (bool, int, float)):
            value = jsvalues.to_string(value)
        if not usable or not isinstance(value, str):
            return ""
        for replacer in replacers:
            value = replacer(value)
        return value

    return replace


def _array_path(operand: Any, compiler: Compiler, raw: bool) -> Resolve:
    if not isinstance(operand, list):
        return fails(f"@arrayPath expected array, got {type_of(operand)}")
    path, shape = (*operand, UNDEFINED, UNDEFINED)[:2]
    by_path = isinstance(path, str)
    root = compile_keys(path_keys(path)) if by_path else compiler.value(path, True)
    if not isinstance(shape, dict) or not shape:
        return root if by_path else _cleaned(root, raw=raw)
    item_of = compiler.value(shape, raw)

    def each(payload: Any) -> Any:
        value = root(payload)
        if isinstance(value, dict):
            return [item_of(value)]
        return [item_of(item) for item in value] if isinstance(value, list) else value

    return _cleaned(each, raw=raw)


def _text_directive(name: str, of_text: Callable[[str], Resolve]) -> Directive:
    """A directive whose operand is a text, or a directive that gives one."""

    def compile_text(operand: Any, compiler: Compiler, _raw: bool) -> Resolve:
        if isinstance(operand, str):
            return of_text(operand)
        text_of = compiler.value(operand, False)

        def dynamic(payload: Any) -> Any:
            text = text_of(payload)
            if not isinstance(text, str):
                raise MappingError(f"{name}: expected string, got {type_of(text)}")
            return of_text(text)(payload)

        return dynamic

    return compile_text


def _path(path: str) -> Resolve:
    return compile_keys(path_keys(path))


def _template(template: str) -> Resolve:
    fill = compile_template(template)
    return lambda payload: fill({} if payload is UNDEFINED else payload)


def _literal(operand: Any, compiler: Compiler, raw: bool) -> Resolve:
    # Directives inside a literal are run all the same; only templates are left alone.
    return compiler.value(operand, raw)


def _flatten(options: Any, compiler: Compiler, raw: bool) -> Resolve:
    if not isinstance(options, dict):
        return fails('@flatten requires an object with a "separator" key')
    if not jsvalues.truthy(options.get("separator", UNDEFINED)):
        return fails('@flatten requires a "separator" key')
    separator_of = compiler.value(options["separator"], False)
    value_of = compiler.value(options.get("value", UNDEFINED), True)
    omit_arrays = jsvalues.truthy(options.get("omitArrays", UNDEFINED))

    def flatten(payload: Any) -> Any:
        separator = separator_of(payload)
        if not isinstance(separator, str):
            raise MappingError("@flatten requires a string separator")
        flat: dict[str, Any] = {}
        _flatten_into(flat, value_of(payload), "", separator, omit_arrays)
        return flat

    return _cleaned(flatten, raw=raw)


def _flatten_into(flat: dict[str, Any], value: Any, prefix: str, separator: str, omit_arrays: bool) -> None:
    if isinstance(value, dict) or (isinstance(value, list) and not omit_arrays):
        for key, member in jsvalues.entries(value):
            _flatten_into(flat, member, f"{prefix}{separator}{key}" if prefix else key, separator, omit_arrays)
    else:
        flat[prefix] = value


def _json(options: Any, compiler: Compiler, raw: bool) -> Resolve:
    if not isinstance(options, dict):
        return fails('@json requires an object with a "value" key')
    mode = options.get("mode", UNDEFINED)
    for key in ("mode", "value"):
        if not jsvalues.truthy(options.get(key, UNDEFINED)):
            return fails(f'@json requires a "{key}" key')
    value_of = compiler.value(options["value"], raw)
    if mode == "encode":
        return lambda payload: jsvalues.stringify(value_of(payload))
    if mode != "decode":

        def neither(payload: Any) -> Any:
            value_of(payload)
            return UNDEFINED

        return neither

    def decode(payload: Any) -> Any:
        value = value_of(payload)
        if not isinstance(value, str):
            return value
        try:
            decoded = jsvalues.parse(value)
        except ValueError:
            return value
        return jsvalues.clean(decoded) if "__proto__" in value else decoded

    return decode


def _merge(options: Any, compiler: Compiler, raw: bool) -> Resolve:
    if not isinstance(options, dict):
        return fails('@merge requires an object with an "objects" key and a "direction" key')
    for key in ("direction", "objects"):
        if not jsvalues.truthy(options.get(key, UNDEFINED)):
            return fails(f'@merge requires a "{key}" key')
    objects = options["objects"]
    if not isinstance(objects, list):
        return fails(f"@merge: expected opts.array, got {'object' if isinstance(objects, dict) else type_of(objects)}")
    direction_of = compiler.value(options["direction"], False)
    members = [compiler.value(member, True) for member in objects]

    def merge(payload: Any) -> Any:
        leftwards = direction_of(payload) == "left"
        values = [member(payload) for member in members]
        merged: dict[str, Any] = {}
        for value in reversed(values) if leftwards else values:
            merged.update(jsvalues.entries(value))
        return merged

    return _cleaned(merge, raw=raw)


def _transform(options: Any, compiler: Compiler, raw: bool) -> Resolve:
    if not isinstance(options, dict):
        return fails('@transform requires an object with an "apply" key and a "mapping" key')
    for key in ("mapping", "apply"):
        if not jsvalues.truthy(options.get(key, UNDEFINED)):
            return fails(f'@transform requires a "{key}" key')
    if not isinstance(options["apply"], dict):
        return fails('@transform "apply" key should be an object')
    apply = compiler.transform(options["apply"])
    then = compiler.value(options["mapping"], raw)
    return _cleaned(lambda payload: then(apply(payload)), raw=raw)


def _exclude_when_null(operand: Any, compiler: Compiler, raw: bool) -> Resolve:
    resolve = compiler.value(operand, raw)

    def exclude(payload: Any) -> Any:
        value = resolve(payload)
        if value is None:
            return UNDEFINED
        return _without_nulls(value, raw) if isinstance(value, dict) else value

    return exclude


def _without_nulls(value: dict[str, Any], raw: bool) -> dict[str, Any]:
    """Nulls go at any depth of objects, and stay inside lists."""
    without: dict[str, Any] = {}
    for key, member in value.items():
        if member is None:
            if raw:
                without[key] = UNDEFINED
        else:
            without[key] = _without_nulls(member, raw) if isinstance(member, dict) else member
    return without


def _liquid(operand: Any, _compiler: Compiler, _raw: bool) -> Resolve:
    if not isinstance(operand, str):
        return fails("liquid template value must be a string")
    if jsvalues.length(operand) > liquid.MAX_LENGTH:
        return fails(f"liquid template values are limited to {liquid.MAX_LENGTH} characters")
    return liquid.compile_liquid(operand)


DIRECTIVES: Final[dict[str, Directive]] = {
    "@if": _if,
    "@case": _case,
    "@replace": _replace,
    "@arrayPath": _array_path,
    "@path": _text_directive("@path", _path),
    "@template": _text_directive("@template", _template),
    "@literal": _literal,
    "@flatten": _flatten,
    "@json": _json,
    "@merge": _merge,
    "@transform": _transform,
    "@excludeWhenNull": _exclude_when_null,
    "@liquid": _liquid,
}
