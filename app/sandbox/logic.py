"""The logic of a validation rule: `"1 and (2 or 3)"`, read into a tree. Pure.

documented: rules are numbered, joined by `and` and `or`, with brackets. inferred: `and` binds closer than `or`, as it
does everywhere; the words may be in capitals; no text at all asks for every rule.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from app.sandbox.fidelity import documented

_TOKEN = re.compile(r"\s*([()]|[\w$-]+)")
_WORDS = ("and", "or")
_DEEPEST = 50


@dataclass(frozen=True)
class Leaf:
    """One rule, by its number."""

    rule: str


@dataclass(frozen=True)
class Junction:
    """Several parts joined by one word."""

    word: str
    parts: "tuple[Tree, ...]"


Tree = Leaf | Junction


def parse(text: str, rules: Iterable[str]) -> Tree:
    """The tree of a logic text over these rules; with no text all of them must hold.

    Raises:
        ValueError: it can't be read, or names a rule that is not there.
    """
    names = list(rules)
    tokens = _tokens(text)
    if not tokens:
        return Junction("and", tuple(Leaf(name) for name in names))
    tree, rest = _either(tokens, set(names), 0)
    if rest:
        raise ValueError(f"'{rest[0]}' is not expected")
    return tree


def holds(tree: Tree, is_true: Callable[[str], bool]) -> bool:
    return culprit(tree, is_true) is None


def culprit(tree: Tree, is_true: Callable[[str], bool]) -> str | None:
    """The first rule to blame for a tree that does not hold; None when it holds.

    A rule that is false beside a true one under `or` is not to blame.
    """
    if isinstance(tree, Leaf):
        return None if is_true(tree.rule) else tree.rule
    blamed = [culprit(part, is_true) for part in tree.parts]
    if tree.word == "or":
        return None if None in blamed else blamed[0]
    return next((each for each in blamed if each is not None), None)


def _tokens(text: str) -> list[str]:
    tokens, at = [], 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ValueError(f"'{text[at:].strip()[:20]}' can't be read")
        tokens.append(match[1])
        at = match.end()
    return tokens


def _either(tokens: list[str], names: set[str], depth: int) -> tuple[Tree, list[str]]:
    return _joined("or", tokens, names, depth)


def _joined(word: str, tokens: list[str], names: set[str], depth: int) -> tuple[Tree, list[str]]:
    parts = []
    while True:
        part, tokens = _joined("and", tokens, names, depth) if word == "or" else _single(tokens, names, depth)
        parts.append(part)
        if not tokens or tokens[0].lower() != word:
            return (parts[0] if len(parts) == 1 else Junction(word, tuple(parts))), tokens
        tokens = tokens[1:]


def _single(tokens: list[str], names: set[str], depth: int) -> tuple[Tree, list[str]]:
    if not tokens:
        raise ValueError("it ends too early")
    first, rest = tokens[0], tokens[1:]
    if first == "(":
        if depth == _DEEPEST:
            raise ValueError("its brackets are nested too deeply")
        tree, rest = _either(rest, names, depth + 1)
        if not rest or rest[0] != ")":
            raise ValueError("a bracket is not closed")
        return tree, rest[1:]
    if first not in names or first.lower() in _WORDS:
        raise ValueError(f"there is no rule '{first}'")
    return Leaf(first), rest


FIDELITY = (documented("`logic` of a validation rule with `and`, `or` and brackets"),)
