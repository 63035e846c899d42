"""From the text of a trigger to its tokens, exactly as Segment's lexer cuts it.

It works on UTF-16 code units and looks one unit ahead. Words end only at white space, `,`, `]`, `)` or the end
(identifiers also before `.`, `(`, `=`, `!`), which explains most of what surprises people: `!="x"` and `a<5` are
errors, `or(` is a name.
"""

from typing import Final, NamedTuple

from app import jsvalues
from app.errors import BadInput

_END: Final = ""
_WHITE: Final = frozenset(" \t\n")
_TERMINATORS: Final = _WHITE | frozenset({",", "]", ")", _END})
_LETTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_DIGITS: Final = frozenset("0123456789")
_IDENTIFIER: Final = _LETTERS | _DIGITS | frozenset("_-\\")
_WORDS: Final = {"a": ("and", "conditional"), "o": ("or", "conditional"), "n": ("null", "null")}
_MARKS: Final = {".": "dot", "[": "brackleft", "]": "brackright", ",": "comma", "(": "parenleft", ")": "parenright"}
_LONGEST: Final = 100_000


class TriggerError(BadInput):
    """A trigger can't be read."""


class Token(NamedTuple):
    kind: str
    """`ident`, `operator`, `conditional`, `string`, `number`, `null`, `eos`, or the name of a mark."""
    value: str
    """The text; a string keeps its quotes, an identifier has lost its escapes."""


def tokens(text: str) -> list[Token]:
    """All tokens of a trigger, ending with `eos`.

    Raises:
        TriggerError: a character is out of place.
    """
    lexer = _Lexer(jsvalues.utf16(text))
    found = []
    while (token := lexer.token()) is not None:
        found.append(token)
    found.append(Token("eos", "eos"))
    return found


class _Lexer:
    def __init__(self, units: str) -> None:
        self.units, self.at = units, 0

    def peek(self) -> str:
        return self.units[self.at : self.at + 1]

    def next(self) -> str:
        unit = self.peek()
        self.at += len(unit)
        return unit

    def accept(self, rest: str) -> bool:
        """Go past `rest` if it comes next and a terminator follows.

        Where the text ends in the middle of it, what was read stays read (`an` at the very end is the name `a`),
        because Segment's lexer does not step back there.
        """
        start = self.at
        for _ in rest:
            unit = self.next()
            if unit == _END:
                return False
            if unit in _TERMINATORS:
                break
        if self.units[start : self.at] == rest and self.peek() in _TERMINATORS:
            return True
        self.at = start
        return False

    def token(self) -> Token | None:
        while (unit := self.next()) in _WHITE:
            pass
        if unit == _END:
            return None
        if unit in _MARKS:
            return Token(_MARKS[unit], unit)
        if unit in "\"'":
            return self.string(unit)
        if unit in _DIGITS or unit in "+-":
            return self.number(unit)
        if unit in _LETTERS or unit in "\\_":
            if unit in _WORDS and self.accept(_WORDS[unit][0][1:]):
                return Token(_WORDS[unit][1], _WORDS[unit][0])
            return self.identifier(unit)
        if unit == "!" and (self.peek() in _LETTERS or self.peek() == "("):
            return Token("operator", "!")
        if unit == "!" and not self.accept("="):
            raise TriggerError("After ! comes = and a space, or the name of a function.")
        if unit == "!":
            return Token("operator", "!=")
        if unit in "<>":
            return Token("operator", f"{unit}=" if self.accept("=") else unit)
        if unit == "=":
            return Token("operator", "=")
        raise TriggerError(f"{jsvalues.stringify(unit)} can't stand in a trigger outside a text in double quotes.")

    def string(self, quote: str) -> Token:
        """The quote at the end is passed only when a terminator follows; otherwise it opens the next string."""
        start = self.at
        end = self.units.find(quote, start)
        if end < 0:
            raise TriggerError("A text in quotes does not end.")
        if end - start >= _LONGEST:
            raise TriggerError("A text is too long.")
        self.at = end
        self.accept(quote)
        return Token("string", jsvalues.joined(quote + self.units[start:end] + quote))

    def number(self, first: str) -> Token:
        start, points = self.at, 0
        while (unit := self.peek()) in _DIGITS or unit == ".":
            self.next()
            if unit == ".":
                points += 1
                if self.peek() in _TERMINATORS:
                    raise TriggerError("A number can't end with a point.")
                if points > 1:
                    raise TriggerError("A number has more than one point.")
            if self.at - start >= _LONGEST:
                raise TriggerError("A number is too long.")
        return Token("number", first + self.units[start : self.at])

    def identifier(self, unit: str) -> Token:
        name = ""
        while True:
            if unit == "\\":
                unit = self.next()
                if unit == _END:
                    raise TriggerError("A trigger can't end with \\, which takes the next character literally.")
            name += unit
            if len(name) >= _LONGEST:
                raise TriggerError("A name is too long.")
            if self.peek() not in _IDENTIFIER or self.peek() == _END:
                break
            unit = self.next()
        after = self.peek()
        if after not in _TERMINATORS and after not in {".", "(", "=", "!"}:
            raise TriggerError(f"A name must be followed by a space, not by {jsvalues.stringify(after)}.")
        return Token("ident", jsvalues.joined(name))
