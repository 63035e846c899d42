"""Filters of lists: `filters[code][conditions][$is][0]=A` read, checked, and compiled to SQL with parameters.

documented: the form of the query, the conditions for text and for times, that a time with `$more_than` and a number is
that many days ago, `junction`. inferred: a field or condition that a list has not is `invalid_query_params`; several
conditions of one field must all hold, `junction` is between fields; of several values one must fit (for `$is_not`,
`$not_in` and `$not_contain` none may); a value that is not there satisfies only these three and `$is_unknown`, as
`operators.fits` says it of a value in hand; of metadata only JSON numbers are more or less than another.
"""

# ruff: noqa: S608 - what is put together here are constants of `filter_fields`; values are parameters

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from app.sandbox import operators
from app.sandbox.clock import parse_time
from app.sandbox.errors import NotEmulated, invalid_query
from app.sandbox.fidelity import documented, inferred
from app.sandbox.read import AnyRequest

_NAME = re.compile(r"filters\[([^\[\]]{1,200})\](?:\[conditions\])?\[([^\[\]]{1,40})\](?:\[\d{0,4}\])?")
_JUNCTION = "filters[junction]"
_MOST_CONDITIONS = 50
_MOST_VALUES = 200
_LONGEST = 2000
_MOST_DAYS = 36_500
TEXT = ("$in", "$not_in", "$is", "$is_not", "$has_value", "$is_unknown", "$starts_with", "$ends_with", "$contains",
        "$not_contain")  # fmt: skip
MOMENT = ("$after", "$before", "$has_value", "$is_unknown", "$more_than", "$less_than")
NUMBER = ("$more_than", "$less_than", "$more_than_or_equal", "$less_than_or_equal")
_SIGNS = {"$more_than": ">", "$less_than": "<", "$more_than_or_equal": ">=", "$less_than_or_equal": "<="}
_NEGATED = {"$is_not": "$is", "$not_in": "$in", "$not_contain": "$contains"}
_MATCHES = {
    "$starts_with": "starts_with({value}, wanted)",
    "$ends_with": "right({value}, length(wanted)) = wanted",
    "$contains": "strpos({value}, wanted) > 0",
}
_JSON_FITS = """(CASE jsonb_typeof(each) WHEN 'string' THEN each #>> '{{}}' = ANY({texts}::text[])
  WHEN 'number' THEN (each #>> '{{}}')::numeric = ANY({numbers}::numeric[])
  WHEN 'boolean' THEN each #>> '{{}}' = ANY({lowered}::text[]) ELSE false END)"""


@dataclass(frozen=True)
class Field:
    """What a list can be filtered by: where its value is in SQL, and which conditions there are for it.

    The SQL is ours and never holds anything of a request, but for `{key}`: the parameter with the name of a metadata
    key.
    """

    sql: str
    kind: str = "text"
    """`text`, `texts` (a list of it), `moment`, `json`, `days` (of the week), `states` (each condition is SQL)."""
    conditions: tuple[str, ...] = TEXT
    states: Mapping[str, str] = field(default_factory=dict)
    virtual: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Values that stand for several."""
    upper: bool = False
    """Whether the value's letters count as capitals: TRUE and FALSE."""


def moment(sql: str) -> Field:
    return Field(sql, "moment", MOMENT)


def metadata(sql: str) -> Field:
    return Field(sql, "json", (*TEXT, *NUMBER))


def truth(sql: str) -> Field:
    """A condition that is met or not, asked for by TRUE or FALSE."""
    return Field(f"upper(({sql})::text)", conditions=("$is", "$is_not", "$in", "$not_in"), upper=True)


def presence(sql: str) -> Field:
    return Field(sql, conditions=("$has_value", "$is_unknown"))


def states(**conditions: str) -> Field:
    """Named conditions without values; `{now}` in them is the parameter with the present moment."""
    return Field("", "states", tuple(conditions), conditions)


Fields = Mapping[str, Field]
Wanted = dict[str, dict[str, list[str]]]


@dataclass(frozen=True)
class Filters:
    """What a request asks for: values by field and condition."""

    wanted: Wanted
    either: bool = False

    def fits(self, shown: Mapping[str, Any], now: datetime) -> bool:
        """The same of an object as it is shown, for a list that is not made by SQL."""
        found = [operators.satisfied(conditions, shown.get(name), now) for name, conditions in self.wanted.items()]
        return any(found) if self.either and found else all(found)


def read(request: AnyRequest, fields: Fields) -> Filters:
    """What the query string asks for, checked.

    Raises:
        Failure: the list has no such field or condition, or the value is none for it.
    """
    wanted: Wanted = {}
    either = False
    for name, value in request.query_params.multi_items():
        if not name.startswith("filters"):
            continue
        if name == _JUNCTION:
            either = _junction(value)
            continue
        match = _NAME.fullmatch(name)
        if match is None:
            raise invalid_query(f"Property .{name[:100]} is not a filter: filters[field][conditions][$is][0]=value")
        known, condition = _known(fields, match[1]), operators.canonical(match[2])
        if condition not in known.conditions:
            _refuse_condition(match[1], match[2], known)
        values = wanted.setdefault(match[1], {}).setdefault(condition, [])
        values.append(value)
        if len(values) > _MOST_VALUES or len(value) > _LONGEST or "\x00" in value:
            raise invalid_query(
                f"Property .filters[{match[1]}] takes up to {_MOST_VALUES} values of up to {_LONGEST} characters, "
                "without U+0000"
            )
        _check(match[1], condition, value, known)
    if sum(map(len, wanted.values())) > _MOST_CONDITIONS:
        raise invalid_query(f"Property .filters must NOT have more than {_MOST_CONDITIONS} conditions")
    return Filters(wanted, either)


def _junction(value: str) -> bool:
    if value.lower() not in {"and", "or"}:
        raise invalid_query(f"Property .{_JUNCTION} must be equal to one of the allowed values")
    return value.lower() == "or"


def _known(fields: Fields, name: str) -> Field:
    prefix, dot, key = name.partition(".")
    known = (fields.get(name) or fields.get(f"{prefix}.")) if key or not dot else None
    if known is None:
        can = ", ".join(each if each[-1] != "." else f"{each}*" for each in sorted(fields))
        raise invalid_query(f"Property .filters[{name[:100]}] is not a field of this list, which has: {can}")
    return known


def _refuse_condition(name: str, condition: str, known: Field) -> None:
    if operators.canonical(condition) in operators.EMULATED and known.kind in {"moment", "json"}:
        raise NotEmulated(f"The condition {condition} of the filter {name[:100]}")
    can = ", ".join(known.conditions)
    raise invalid_query(f"Property .filters[{name}] has no condition {condition[:40]}; it has: {can}")


def _check(name: str, condition: str, value: str, known: Field) -> None:
    problem = None
    if condition in _SIGNS:
        whole = re.fullmatch(r"-?\d{1,9}", value) and abs(int(value)) <= _MOST_DAYS
        if known.kind == "moment" and not whole:
            problem = f"must be a whole number of up to {_MOST_DAYS} days"
        if known.kind == "json" and _number(value) is None:
            problem = "must be number"
    elif condition in {"$after", "$before"} and _moment(value) is None:
        problem = "cannot be recognized as a ISO-8601 compliant date"
    elif known.kind == "days" and value not in set("0123456"):
        problem = "must be an integer between 0 and 6"
    if problem:
        raise invalid_query(f"Property .filters[{name}][conditions][{condition}] {problem}")


def _number(value: str) -> Decimal | None:
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    # Beyond these there is no number in JSON that Postgres holds.
    return number if number.is_finite() and abs(number.adjusted()) <= 400 else None


def _moment(value: str) -> datetime | None:
    try:
        return parse_time(value.replace(" ", "+")).astimezone(UTC)  # a plus that was not escaped
    except (ValueError, OverflowError):
        return None


@dataclass
class _Compiler:
    first: int
    now: datetime
    parameters: list[Any] = field(default_factory=list)

    def bind(self, value: Any) -> str:
        self.parameters.append(value)
        return f"${self.first + len(self.parameters) - 1}"

    def condition(self, name: str, known: Field, condition: str, values: list[str]) -> str:
        if known.kind == "states":
            sql = known.states[condition]
            return f"({sql.replace('{now}', f'{self.bind(self.now)}::timestamptz') if '{now}' in sql else sql})"
        sql = known.sql
        if "{key}" in sql:
            sql = sql.replace("{key}", f"{self.bind(name.partition('.')[2])}::text")
        if positive := _NEGATED.get(condition):
            return f"({self.positive(sql, known, positive, values)}) IS NOT TRUE"
        return self.positive(sql, known, condition, values)

    def positive(self, sql: str, known: Field, condition: str, values: list[str]) -> str:
        if condition in {"$has_value", "$is_unknown"}:
            return f"{'' if condition == '$is_unknown' else 'NOT '}({_EMPTY.get(known.kind, _NULL).format(sql=sql)})"
        make: Callable[[str, str, list[str]], str] = {
            "text": self.text,
            "texts": self.texts,
            "moment": self.moment,
            "json": self.json,
            "days": self.days,
        }[known.kind]
        values = [each for value in values for each in known.virtual.get(value, (value,))]
        return make(sql, condition, [value.upper() for value in values] if known.upper else values)

    def text(self, sql: str, condition: str, values: list[str]) -> str:
        wanted = f"{self.bind(values)}::text[]"
        if condition in _MATCHES:
            return f"EXISTS (SELECT 1 FROM unnest({wanted}) AS wanted WHERE {_MATCHES[condition].format(value=sql)})"
        return f"{sql} = ANY({wanted})"

    def texts(self, sql: str, condition: str, values: list[str]) -> str:
        return f"EXISTS (SELECT 1 FROM unnest({sql}) AS each WHERE {self.text('each', condition, values)})"

    def moment(self, sql: str, condition: str, values: list[str]) -> str:
        if condition in _SIGNS:  # more days ago is earlier
            sign = "<" if condition == "$more_than" else ">"
            limits = [self.now - timedelta(days=int(value)) for value in values]
        else:
            sign = ">" if condition == "$after" else "<"
            limits = [limit for value in values if (limit := _moment(value)) is not None]
        return f"{sql} {sign} ANY({self.bind(limits)}::timestamptz[])"

    def json(self, sql: str, condition: str, values: list[str]) -> str:
        numbers = [number for value in values if (number := _number(value)) is not None]
        if condition in _SIGNS:
            test = (
                "(CASE jsonb_typeof(each) WHEN 'number' THEN "
                f"(each #>> '{{}}')::numeric {_SIGNS[condition]} ANY({self.bind(numbers)}::numeric[]) ELSE false END)"
            )
        elif condition in _MATCHES:
            test = self.text("nullif(each #>> '{}', '')", condition, values)
        else:
            filled = [value for value in values if value]
            lowered = [value.lower() for value in filled]
            test = _JSON_FITS.format(texts=self.bind(filled), numbers=self.bind(numbers), lowered=self.bind(lowered))
        return f"EXISTS (SELECT 1 FROM jsonb_array_elements({_as_list(sql)}) AS each WHERE {test})"

    def days(self, sql: str, _: str, values: list[str]) -> str:
        """Of the week; what names none is for all of them."""
        days = self.bind([int(value) for value in values])
        return (
            f"(coalesce(jsonb_typeof({sql}), 'null') <> 'array' OR EXISTS "
            f"(SELECT 1 FROM jsonb_array_elements_text({_as_list(sql)}) AS each WHERE each::int = ANY({days}::int[])))"
        )


_NULL = "{sql} IS NULL"
_EMPTY = {
    "texts": "cardinality({sql}) = 0",
    "json": "{sql} IS NULL OR {sql} IN ('null'::jsonb, '\"\"'::jsonb, '[]'::jsonb)",
}


def _as_list(sql: str) -> str:
    return f"CASE jsonb_typeof({sql}) WHEN 'array' THEN {sql} ELSE jsonb_build_array({sql}) END"


def compiled(filters: Filters, fields: Fields, now: datetime, *, after: int) -> tuple[str, list[Any]]:
    """A condition in SQL and its parameters, numbered from the one after `after`. Without filters it holds always."""
    compiler = _Compiler(after + 1, now)
    parts = []
    for name, conditions in filters.wanted.items():
        known = _known(fields, name)
        each = [compiler.condition(name, known, condition, values) for condition, values in conditions.items()]
        parts.append(f"({' AND '.join(f'({part})' for part in each)})")
    return (" OR " if filters.either else " AND ").join(parts) or "true", compiler.parameters


FIDELITY = (
    documented(
        "**Filters of lists** (`filters[…][conditions][$is][0]=…`, `filters[junction]`): vouchers, campaigns, "
        "redemptions, publications, segments, the wallet, transactions of campaigns, programmes and members, each by "
        "the fields and conditions that are published for it"
    ),
    inferred(
        "vouchers are filtered by the fields that are published for their export, metadata and `redemption.*` among "
        "them; a field or condition that a list has not is 400 `invalid_query_params`; several conditions of a field "
        "must all hold, `junction` is between fields; text is compared with its capitals"
    ),
)
