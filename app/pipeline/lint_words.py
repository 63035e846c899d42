"""The words of a trigger as a person writes them, with a note of each that Segment takes for something else."""

import re
from typing import Any, Final, Literal, NamedTuple

from app.pipeline.lint_meaning import ORDER

_OPERATORS: Final = {
    "==": "=",
    "===": "=",
    "!==": "!=",
    "<>": "!=",
    "=<": "<=",
    "=>": ">=",
    "≠": "!=",
    "≤": "<=",
    "≥": ">=",
}
WORD_OPERATORS: Final = frozenset(
    {"contains", "not_contains", "starts_with", "ends_with", "not_starts_with", "not_ends_with"}
)
"""Segment's own names, which it takes for operators."""
_TOKENS: Final = re.compile(
    r"""(?P<space>\s+)
    |(?P<text>"[^"]*"|'[^']*'|[\u201c-\u201e][^"\u201c-\u201e]*["\u201c-\u201e]|[\u2018\u2019][^'\u2018\u2019]*['\u2018\u2019])
    |(?P<number>[+-]?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?(?![\w.-]))
    |(?P<operator>===|!==|==|!=|<>|<=|>=|=<|=>|[=<>≠≤≥])
    |(?P<and>&&?)|(?P<or>\|\|?)|(?P<not>!)|(?P<mark>[(),\[\]])
    |(?P<word>(?:\\.|[\w$])(?:\\.|[\w$-])*(?:\.(?:\\.|[\w$-])+|\[\d+\]|\["[^"]*"\]|\['[^']*'\])*)
    |(?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)


class NotUnderstood(Exception):
    """The text is no expression; the sentence says where it stops being one."""


class Slip(NamedTuple):
    """Something that Segment takes for something else: its code, and the piece of the text."""

    code: str
    piece: str


class Token(NamedTuple):
    kind: str
    piece: str
    start: int
    end: int


class Value(NamedTuple):
    kind: Literal["text", "number", "boolean", "null"]
    value: Any
    piece: str


class Words:
    """The tokens of a trigger, taken from left to right."""

    def __init__(self, text: str) -> None:
        self.whole = text
        self.tokens = [
            Token(str(match.lastgroup), match[0], match.start(), match.end())
            for match in _TOKENS.finditer(text)
            if match.lastgroup != "space"
        ]
        self.tokens = [*map(_keyword, self.tokens), Token("end", "", len(text), len(text))]
        self.at = 0
        self.slips: list[Slip] = []

    @property
    def kind(self) -> str:
        return self.tokens[self.at].kind

    @property
    def piece(self) -> str:
        return self.tokens[self.at].piece

    def take(self) -> Token:
        token = self.tokens[self.at]
        self.at += token.kind != "end"
        return token

    def slip(self, code: str, piece: str) -> None:
        self.slips.append(Slip(code, piece))

    def touches(self, token: Token) -> bool:
        return self.tokens[self.at].start == token.end

    def expect(self, piece: str, sentence: str) -> None:
        if self.piece != piece or self.kind != "mark":
            raise NotUnderstood(sentence)
        self.take()

    def text(self) -> str:
        token = self.take()
        if token.kind == "text":
            return self._unquoted(token)
        if token.kind not in ("word", "number"):
            raise NotUnderstood(f"Where a text should stand is {token.piece!r}.")
        if token.piece in ("null", "true", "false"):
            self.slip("word-is-text", token.piece)
        return token.piece

    def _unquoted(self, token: Token) -> str:
        if token.piece[0] == "'":
            self.slip("single-quotes", token.piece)
        elif token.piece[0] != '"':
            self.slip("curly-quotes", token.piece)
        after = self.whole[token.end : token.end + 1]
        if after and after not in " \t\n,])":
            self.slip("no-space", token.piece + after)
        return token.piece[1:-1]

    def comparison(self) -> str:
        token = self.take()
        word = token.piece.lower()
        if token.kind == "not" and word == "not" and self.piece.lower() == "in":
            self.take()
            self.slip("no-list", "not in")
            return "not in"
        if token.kind == "word" and word == "in":
            self.slip("no-list", token.piece)
            return "in"
        if token.kind == "word" and word in WORD_OPERATORS:
            self.slip("operator-in-words", token.piece)
            return word
        if token.kind != "operator":
            raise NotUnderstood(
                f"After a field stands {token.piece!r}, which is no operator."
                if token.piece
                else "It ends in the middle of a condition."
            )
        operator = _OPERATORS.get(token.piece, token.piece)
        if operator != token.piece:
            self.slip("not-an-operator", token.piece)
        before, after = self.whole[token.start - 1 : token.start], self.whole[token.end : token.end + 1]
        if (operator in ORDER and not before.isspace()) or (operator in ("!=", "<=", ">=") and not after.isspace()):
            self.slip("no-space", before + token.piece + after)
        return operator

    def values(self) -> list["Value"]:
        if self.kind == "mark" and self.piece in "[(":
            closing = {"[": "]", "(": ")"}[self.take().piece]
            values = [self._value()]
            while self.piece == ",":
                self.take()
                values.append(self._value())
            self.expect(closing, "A list is not closed.")
            return values
        return [self._value()]

    def _value(self) -> "Value":
        token = self.take()
        if token.kind == "text":
            return Value("text", self._unquoted(token), token.piece)
        if token.kind == "number":
            if not re.fullmatch(r"[+-]?\d+(\.\d+)?", token.piece):
                self.slip("exponent", token.piece)
            return Value("number", float(token.piece), token.piece)
        if token.kind != "word":
            raise NotUnderstood(
                f"Where a value should stand is {token.piece!r}."
                if token.piece
                else "It ends where a value should stand."
            )
        words = [token.piece]
        while self.kind in ("word", "number") and self.tokens[self.at + 1].kind != "operator" and not self._opens():
            words.append(self.take().piece)
        word = token.piece.lower()
        if len(words) > 1:
            self.slip("no-quotes", " ".join(words))
        elif word in ("true", "false"):
            return Value("boolean", word == "true", self._exact(token))
        elif word in ("null", "nil", "none", "undefined"):
            return Value("null", None, self._exact(token))
        return Value("text", " ".join(words), token.piece)

    def _opens(self) -> bool:
        return self.tokens[self.at + 1].piece == "("

    def _exact(self, token: Token) -> str:
        if token.piece not in ("true", "false", "null"):
            self.slip("not-a-value", token.piece)
        return token.piece


def _keyword(token: Token) -> Token:
    word = token.piece.lower()
    return token._replace(kind=word) if token.kind == "word" and word in ("and", "or", "not") else token
