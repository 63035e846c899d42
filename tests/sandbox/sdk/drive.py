"""A program of somebody else's that uses Voucherify's own Python SDK, in a process and an environment of its own.

Reads the calls as JSON from stdin, makes them one after the other, and writes what the SDK's models made of each answer
as JSON to stdout. It imports nothing of ours.
"""

import importlib
import inspect
import json
import re
import sys
import typing
import warnings
from datetime import UTC, date, datetime
from importlib.metadata import version
from typing import Any

voucherify: Any = importlib.import_module("voucherify")
warnings.simplefilter("ignore", DeprecationWarning)  # what the SDK says of loyalty v1


def main() -> None:
    wanted = json.load(sys.stdin)
    configuration = voucherify.Configuration(host=wanted["url"], api_key=wanted["keys"])
    kept: dict[str, str] = dict(wanted["kept"])
    with voucherify.ApiClient(configuration) as client:
        outcomes = [_outcome(client, call, kept) for call in wanted["calls"]]
        offered = _offered(client, wanted["apis"])
    json.dump({"version": version("voucherify"), "outcomes": outcomes, "offered": offered}, sys.stdout)


def _outcome(client: Any, call: dict[str, Any], kept: dict[str, str]) -> dict[str, Any]:
    """What became of one call: the answer as it came, the same as the SDK's models hold it, or what went wrong."""
    api, name = call["method"].split(".")
    outcome: dict[str, Any] = {"status": 0, "raw": None, "read": None, "problem": None}
    try:
        arguments = _filled(call["arguments"], kept)
        method = getattr(getattr(voucherify, api)(client), f"{name}{'_with_http_info' if call['reads'] else ''}")
        given = _typed(getattr(getattr(voucherify, api), name), arguments)
        if call["reads"]:
            answer = method(**given)
            status, raw = answer.status_code, answer.raw_data
            outcome["read"] = _plain(answer.data)
        else:
            bare = getattr(getattr(voucherify, api)(client), f"{name}_without_preload_content")(**given)
            status, raw = bare.status, bare.read()
        outcome |= {"status": status, "raw": json.loads(raw) if raw else None}
        kept |= {key: str(_at(outcome["raw"], path)) for key, path in call["keep"].items()}
    except voucherify.exceptions.ApiException as error:
        outcome |= {"status": error.status, "raw": _json(error.body), "problem": f"{type(error).__name__}"}
    except Exception as error:  # noqa: BLE001 - whatever the SDK makes of it is the finding
        outcome["problem"] = f"{type(error).__name__}: {error}"[:1500]
    return outcome


def _offered(client: Any, apis: list[str]) -> dict[str, list[str]]:
    """Every operation of these parts of the SDK: its HTTP method and address, with `x` for what stands in the path."""
    offered = {}
    for api in apis:
        own = getattr(voucherify, api)
        for name in dir(own):
            if not (name.startswith("_") and name.endswith("_serialize")):
                continue
            serialize = getattr(own(client), name)
            parameters = inspect.signature(serialize).parameters
            public = inspect.signature(getattr(own, name[1:].removesuffix("_serialize"))).parameters
            arguments = {
                each: 0 if each == "_host_index" else "x" if _in_path(public.get(each)) else None for each in parameters
            }
            method, url, *_ = serialize(**arguments)
            offered[f"{api}.{name[1:].removesuffix('_serialize')}"] = [method, url]
    return offered


def _in_path(parameter: Any) -> bool:
    return parameter is not None and parameter.default is inspect.Parameter.empty


def _filled(value: Any, kept: dict[str, str]) -> Any:
    """Put what earlier calls gave in place of `{name}`."""
    if isinstance(value, dict):
        return {key: _filled(each, kept) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, kept) for each in value]
    if isinstance(value, str):
        return re.sub(r"\{(\w+)\}", lambda match: kept[match.group(1)], value)
    return value


def _typed(function: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments as the models that the SDK asks for."""
    hints = typing.get_type_hints(function)
    given = {}
    for name, value in arguments.items():
        parameter = next(each for each in hints if _of_model(hints[each])) if name == "body" else name
        kind = _of_model(hints[parameter])
        if kind is None:
            given[parameter] = value
        elif name == "filters":
            # `from_dict` names every field that there is, with null, which this SDK would send as the text None.
            given[parameter] = kind.model_validate(value)
        else:
            given[parameter] = (
                [kind.from_dict(each) for each in value] if isinstance(value, list) else kind.from_dict(value)
            )
    return given


def _of_model(hint: Any) -> Any:
    """The model in `Optional[Model]` or `Optional[List[Model]]`."""
    if hasattr(hint, "from_dict"):
        return hint
    return next((kind for each in typing.get_args(hint) if (kind := _of_model(each)) is not None), None)


def _plain(value: Any) -> Any:
    if hasattr(value, "to_dict"):
        return _plain(value.to_dict())
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, datetime):
        moment = value.astimezone(UTC)
        return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
    if isinstance(value, date):
        return value.isoformat()
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _at(value: Any, path: str) -> Any:
    for step in path.split("."):
        value = value[int(step)] if step.isdigit() else value[step]
    return value


def _json(body: Any) -> Any:
    try:
        return json.loads(body)
    except (TypeError, ValueError):
        return body


if __name__ == "__main__":
    main()
