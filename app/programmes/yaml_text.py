"""The YAML of a programme file, read strictly, and the line of everything in it.

A part of YAML that says what it means: `true`, `false`, `null`, whole numbers and decimals; everything else is text, so
that a campaign may be called `No` and a code `1e5`. A key that stands twice is refused: most readers of YAML let one of
the two vanish. Anchors and tags are refused: a reader should not have to know them.
"""

import re
from collections.abc import Hashable
from typing import Any

import yaml

from app.errors import LoyaltyError

Place = tuple[Hashable, ...]
"""Where something is in the file: keys and numbers from the top, such as `("campaigns", 0, "name")`."""

_WORDS = {"": None, "~": None, "null": None, "true": True, "false": False}
_WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]{0,17})\.[0-9]{1,17}")


class YamlError(LoyaltyError):
    """This is not YAML."""

    status = 400

    def __init__(self, sentence: str, line: int | None = None) -> None:
        super().__init__(sentence)
        self.line = line


def read(text: str) -> tuple[Any, dict[Place, int]]:
    """The content, and by place the line on which each thing begins.

    Raises:
        YamlError: it is not YAML, or uses of YAML what programme files do without.
    """
    lines: dict[Place, int] = {}
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if getattr(event, "anchor", None):
                raise YamlError(
                    "Anchors (& and *) are not read here. Text that begins with one needs quotes.",
                    event.start_mark.line + 1,
                )
            if getattr(event, "tag", None):
                raise YamlError(
                    "Tags (!) are not read here. Text that begins with one needs quotes.", event.start_mark.line + 1
                )
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        return (None if node is None else _value(node, (), lines)), lines
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = error.problem or error.context or "it can't be read"
        raise YamlError(f"This is not YAML: {said}.", mark.line + 1 if mark else None) from error
    except yaml.YAMLError as error:
        raise YamlError(f"This is not YAML: {str(error).splitlines()[0]}.") from error
    except RecursionError as error:
        raise YamlError("This is nested too deeply.") from error


def _value(node: Any, place: Place, lines: dict[Place, int]) -> Any:
    lines[place] = node.start_mark.line + 1
    if isinstance(node, yaml.ScalarNode):
        return scalar(node.value) if node.style is None else node.value
    if isinstance(node, yaml.SequenceNode):
        return [_value(each, (*place, number), lines) for number, each in enumerate(node.value)]
    found: dict[str, Any] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise YamlError("A key must be a word, not a list or a mapping.", line)
        if key.value in found:
            first = lines[(*place, key.value)]
            raise YamlError(f"`{key.value}` stands here for the second time: it is on line {first} already.", line)
        found[key.value] = _value(value, (*place, key.value), lines)
        lines[(*place, key.value)] = line
    return found


def scalar(text: str) -> Any:
    """What a word without quotes stands for."""
    if text in _WORDS:
        return _WORDS[text]
    if _WHOLE.fullmatch(text):
        return int(text)
    if _DECIMAL.fullmatch(text):
        return float(text)
    return text
