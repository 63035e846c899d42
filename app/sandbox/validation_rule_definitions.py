"""Validation rules as they are defined: read and checked. What they say of an order is in `predicates.py`.

documented: the shape, `invalid_validation_rules` for a rule about metadata without a `property`. inferred: the same
key for all else that can't be understood. A rule, an operator or a setting that would not be carried out is refused
with 501 when it is made.
"""

from typing import Any

from app.sandbox import logic, operators
from app.sandbox.applicability import EFFECTS, LIMITS
from app.sandbox.errors import Failure, NotEmulated, invalid_payload
from app.sandbox.predicates import HOLDER, ITEMS, METADATA, NAMES, NUMBERS, PARTS, THINGS, is_collection
from app.sandbox.read import boolean, integer, mapping, one_of, text

TYPES = ("expression", "basic", "advanced", "complex")
_MOST_RULES = 100
_NUMERIC_PARTS = frozenset(part for parts in PARTS.values() for part in parts if not part.endswith(".metadata"))
_APPLICABLE = {"object", "id", "source_id", "product_id", "product_source_id", "strict", "effect"}


def read(body: dict[str, Any]) -> dict[str, Any]:
    """What a request says about a validation rule, checked; only the fields that it has.

    Raises:
        Failure: it is not valid, or is of a kind that the sandbox does not emulate.
    """
    doc: dict[str, Any] = {}
    if body.get("bundle_rules"):
        raise NotEmulated("A validation rule for bundles (bundle_rules)")
    if "rules" in body:
        doc["rules"] = _rules(mapping(body, "rules"), ".rules", NAMES)
    if "error" in body:
        message = text(mapping(body, "error"), "message", at=".error")
        doc["error"] = {"message": message} if message is not None else None
    if "applicable_to" in body:
        doc["applicable_to"] = _applicable_to(mapping(body, "applicable_to"))
    if (kind := one_of(body, "type", TYPES)) is not None:
        doc["type"] = kind
    if (context := text(body, "context_type", longest=200)) is not None:
        doc["context_type"] = context
    return doc


def names(doc: dict[str, Any]) -> set[str]:
    """The kinds of rules in a definition."""
    return {rule["name"] for number, rule in doc["rules"].items() if number != "logic"}


def _rules(given: dict[str, Any], at: str, allowed: Any) -> dict[str, Any]:
    numbered = {number: rule for number, rule in given.items() if number != "logic"}
    if len(numbered) > _MOST_RULES:
        raise NotEmulated(f"A validation rule of more than {_MOST_RULES} rules")
    made: dict[str, Any] = {number: _rule(number, rule, f"{at}.{number}", allowed) for number, rule in numbered.items()}
    words = text(given, "logic", at=at) or ""
    try:
        logic.parse(words, numbered)
    except ValueError as error:
        raise invalid(f"Property {at}.logic can't be understood: {error}") from error
    return {**made, "logic": words or " and ".join(numbered)}


def _rule(number: str, rule: Any, at: str, allowed: Any) -> dict[str, Any]:
    if not isinstance(rule, dict):
        raise invalid_payload(f"Property {at} must be object")
    name = text(rule, "name", at=at, longest=200)
    if name is None:
        raise invalid(f"Rule '{number}' must have a 'name'")
    name = name.rstrip(".")
    if name not in allowed:
        raise NotEmulated(f"A validation rule '{name}'" + ("" if allowed is NAMES else " under another rule"))
    key = text(rule, "property", at=at)
    if name in METADATA and not key:
        raise invalid(f"Rule '{name}' must have a 'property'")
    conditions = _conditions(name, mapping(rule, "conditions", at=at), at)
    inner = mapping(rule, "rules", at=at)
    nested = bool(set(inner) - {"logic"})
    negated = any(operators.canonical(operator) in {"$is_not", "$not_in"} for operator in conditions)
    if nested and (name not in PARTS or negated):
        raise NotEmulated(f"Rules under a rule '{name}'" + (" that excludes" if negated else ""))
    made: dict[str, Any] = {
        "name": name,
        "property": key,
        "conditions": conditions,
        "rules": _rules(inner, f"{at}.rules", PARTS[name]) if nested else {},
    }
    if (message := text(mapping(rule, "error", at=at), "message", at=f"{at}.error")) is not None:
        made["error"] = {"message": message}
    return made


def _conditions(name: str, given: dict[str, Any], at: str) -> dict[str, Any]:
    if not given:
        raise invalid(f"Rule '{name}' must have 'conditions'")
    for operator, value in given.items():
        canonical = operators.canonical(operator)
        if canonical not in _operators_of(name):
            raise NotEmulated(f"The operator {operator} of a validation rule '{name}'")
        problem = operators.unreadable(canonical, value)
        if name == "customer.segment" and not all(isinstance(each, str) for each in operators.values(value)):
            problem = "needs ids of segments"
        if problem:
            raise invalid(f"Condition '{operator}' of rule '{name}' {problem}")
        if name in ITEMS or name in THINGS:
            for thing in operators.values(value):
                _thing(name, thing, at)
    return given


def _operators_of(name: str) -> Any:
    if name in ITEMS:
        return {"$is"}
    if name in {*THINGS, "customer.segment"}:
        return {"$is", "$is_not", "$in", "$not_in"}
    if name == HOLDER:
        return {"$is", "$is_not"}
    return operators.NUMERIC if name in NUMBERS or name in _NUMERIC_PARTS else operators.EMULATED


def _thing(name: str, thing: Any, at: str) -> None:
    if isinstance(thing, str):
        return
    if not isinstance(thing, dict) or not any(isinstance(thing.get(each), str) for each in ("id", "source_id")):
        raise invalid(f"Rule '{name}' must name a product by its 'id' or 'source_id'")
    if is_collection(thing) and not isinstance(thing.get("id"), str):
        raise invalid(f"Rule '{name}' must name a collection of products by its 'id'")
    for each in ("id", "source_id"):
        text(thing, each, at=f"{at}.conditions")


def _applicable_to(given: dict[str, Any]) -> dict[str, Any]:
    at = ".applicable_to"
    made: dict[str, Any] = {name: _things(given, name, at) for name in ("excluded", "included")}
    return {**made, "included_all": boolean(given, "included_all", at=at) or False}


def _things(given: dict[str, Any], name: str, at: str) -> list[dict[str, Any]]:
    things = given.get(name) or []
    if not isinstance(things, list) or not all(isinstance(thing, dict) for thing in things):
        raise invalid_payload(f"Property {at}.{name} must be array")
    for thing in things:
        _thing("applicable_to", thing, f"{at}.{name}")
        one_of(thing, "object", ("product", "sku", "products_collection"), at=f"{at}.{name}")
        one_of(thing, "effect", EFFECTS, at=f"{at}.{name}")
        for limit in LIMITS:
            integer(thing, limit, least=0 if limit == "price" else 1, at=f"{at}.{name}")
        if extra := {key for key, value in thing.items() if value is not None} - _APPLICABLE - set(LIMITS):
            raise NotEmulated(f"{', '.join(sorted(extra))} in {at[1:]}")
    return things


def invalid(details: str) -> Failure:
    return Failure(400, "invalid_validation_rules", "Invalid Validation Rule Definition", details)
