"""The mapping language: from an event to what an action sends, as Segment does it.

    mapping   {"email": {"@path": "$.traits.email"}, "source": "till", "hello": {"@template": "Hi {{traits.name}}"}}
    event     {"type": "identify", "traits": {"email": "ann@example.com", "name": "Ann"}}
    output    {"email": "ann@example.com", "source": "till", "hello": "Hi Ann"}

A mapping is JSON in which an object with an `@` key is a directive and all else is copied. It is compiled once, into
plain closures; per event nothing is looked at again but the event. `app.pipeline.directives` has the directives,
`app.pipeline.mapping_check` the rules and sentences for mappings that are not valid.
"""

from collections.abc import Callable
from typing import Any, Final

from app import jsvalues
from app.jsvalues import UNDEFINED
from app.pipeline.directives import DIRECTIVES, Compiler
from app.pipeline.mapping_check import MappingError, check, fails, is_directive
from app.pipeline.paths import Resolve, compile_keys, path_keys, step

__all__ = ["UNDEFINED", "MappingError", "compile_mapping"]

Mapped = Callable[[Any], Any]
"""Takes an event, gives the mapped value. Parts that are copied whole are the event's own objects: change neither."""

_ROOT_KEY: Final = "__segment_internal_directive"


def compile_mapping(mapping: Any) -> Mapped:
    """Compile a mapping into a function of the event.

    The function gives JSON, or `UNDEFINED` where the mapping is one directive that finds nothing. It raises
    `MappingError` where the event does not fit, and nothing else.

    Raises:
        MappingError: the mapping is not valid.
    """
    try:
        resolve = _compile_transform(mapping, raw=False)
    except RecursionError:
        raise MappingError("The mapping is nested too deeply.") from None

    def mapped(event: Any) -> Any:
        try:
            return resolve(event)
        except RecursionError:
            raise MappingError("The event or the mapping is nested too deeply.") from None

    return mapped


def _compile_transform(mapping: Any, *, raw: bool) -> Resolve:
    root = _root(mapping)
    check(root)
    resolve = _compile_value(root, raw)

    def transform(payload: Any) -> Any:
        if type(payload) is not dict:
            if payload is not UNDEFINED:
                raise MappingError(f"data must be an object, got {jsvalues.type_of(payload)}")
            payload = {}
        return resolve(payload)

    return transform


def _root(mapping: Any) -> Any:
    """The mapping to run: with a root directive, everything else becomes that directive's `mapping`."""
    if mapping is None or mapping is UNDEFINED:
        raise MappingError("The mapping must be an object.")
    if not isinstance(mapping, dict):
        return dict(jsvalues.entries(mapping))
    if _ROOT_KEY not in mapping:
        return mapping
    rest = {key: value for key, value in mapping.items() if key != _ROOT_KEY}
    root = mapping[_ROOT_KEY]
    members = jsvalues.entries(root)
    if len(members) > 1:
        raise MappingError("The root mapping must only have a single directive object")
    if not members or not isinstance(members[0][1], (dict, list)):
        raise MappingError("The root directive must be an object")
    name, options = members[0]
    if isinstance(options, dict):
        options = {**options, "mapping": rest}
    return {name: options} if isinstance(root, dict) else [options]


def _compile_value(mapping: Any, raw: bool) -> Resolve:
    """Any part of a mapping: a directive to run, an object or list to go through, or a value to copy."""
    if is_directive(mapping):
        name = next(key for key, _ in jsvalues.entries(mapping) if key.startswith("@"))
        compile_directive = DIRECTIVES.get(name)
        if compile_directive is None:
            return fails(f"{name} is not a valid directive, got undefined")
        return compile_directive(mapping[name], _COMPILER, raw)
    if isinstance(mapping, dict):
        return _compile_object(mapping, raw)
    if isinstance(mapping, list):
        items = tuple(_compile_value(item, raw) for item in mapping)
        if raw:
            return lambda payload: [item(payload) for item in items]
        return lambda payload: [None if (value := item(payload)) is UNDEFINED else value for item in items]
    return lambda _payload: mapping


def _compile_object(mapping: dict[str, Any], raw: bool) -> Resolve:
    members = [(key, value) for key, value in jsvalues.entries(mapping) if key != "__proto__"]
    if raw:
        compiled = tuple((key, _compile_value(value, raw)) for key, value in members)
        return lambda payload: {key: member(payload) for key, member in compiled}
    steps = _steps(members)

    def build(payload: Any) -> dict[str, Any]:
        built = {}
        for find, key, leaves in steps:
            value = find(payload)
            if leaves is None:
                if value is not UNDEFINED:
                    built[key] = value
            elif type(value) is dict:
                for name, leaf in leaves:
                    found = value.get(leaf, UNDEFINED)
                    if found is not UNDEFINED:
                        built[name] = found
            else:
                for name, leaf in leaves:
                    found = step(value, leaf)
                    if found is not UNDEFINED:
                        built[name] = found
        return built

    return build


def _steps(members: list[tuple[str, Any]]) -> tuple[tuple[Resolve, str, tuple[tuple[str, str], ...] | None], ...]:
    """The members in their order: (function, name, None), or (function of the parent, "", names and last keys).

    Neighbours whose paths have the same parent (`$.traits.email`, `$.traits.phone`) look it up once, which makes the
    identify preset half as fast again.
    """
    steps: list[tuple[Resolve, str, tuple[tuple[str, str], ...] | None]] = []
    parent: tuple[str, ...] | None = None
    for name, value in members:
        path = value.get("@path") if isinstance(value, dict) and len(value) == 1 else None
        keys = path_keys(path) if isinstance(path, str) else ()
        if not keys:
            steps.append((_compile_value(value, False), name, None))
            parent = None
            continue
        leaves = ((name, keys[-1]),)
        if keys[:-1] == parent and steps[-1][2] is not None:
            steps[-1] = (steps[-1][0], "", steps[-1][2] + leaves)
        else:
            parent = keys[:-1]
            steps.append((compile_keys(parent), "", leaves))
    return tuple(steps)


def _compile_apply(mapping: Any) -> Resolve:
    """What `@transform` applies: a whole mapping of its own, whose faults show when an event gets there."""
    try:
        transform = _compile_transform(mapping, raw=True)
    except MappingError as fault:
        return fails(*fault.messages)
    return lambda payload: jsvalues.remove_undefined(transform(payload))


_COMPILER: Final = Compiler(value=_compile_value, transform=_compile_apply)
