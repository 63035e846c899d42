"""Codes by their configuration: each `#` of the pattern is a random character; prefix and postfix stand around it."""

from typing import Any

from app.sandbox.ids import ALPHANUMERIC, code
from app.sandbox.read import integer, text


def read(given: dict[str, Any], at: str) -> dict[str, Any]:
    length = integer(given, "length", least=1, most=64, at=at) or 8
    pattern = text(given, "pattern", longest=128, at=at) or "#" * length
    charset = text(given, "charset", longest=256, at=at) or ALPHANUMERIC
    around = {name: text(given, name, longest=64, at=at) or "" for name in ("prefix", "postfix")}
    return {"length": pattern.count("#"), "charset": charset, "pattern": pattern, **around}


def new(config: dict[str, Any]) -> str:
    charset = config["charset"]
    body = "".join(code(1, charset) if each == "#" else each for each in config["pattern"])
    return f"{config['prefix']}{body}{config['postfix']}"
