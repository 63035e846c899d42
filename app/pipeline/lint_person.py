"""A trigger read as a person means it: `not` before `and` before `or`, parentheses that nest, words in any case.

The person writes what they know from elsewhere (`AND`, `&&`, `==`, single quotes, `in (…)`), and Segment's parser takes
each of these for something else. This parser understands them, and notes each as a slip, by its code.
"""

from typing import Final, Literal, NamedTuple

from app.pipeline.lint_conditions import compared, keys_of, matched
from app.pipeline.lint_meaning import Either, Every, Meaning, Unsayable, negated
from app.pipeline.lint_words import NotUnderstood, Slip, Words
from app.pipeline.trigger_reading import FUNCTIONS, Condition

LONGEST: Final = 10_000
_DEEPEST: Final = 50


def understand(text: str) -> tuple[Meaning, list[Slip]]:
    """What a person means by a trigger, and what in it Segment takes for something else.

    Raises:
        NotUnderstood: it is no expression.
    """
    if len(text) > LONGEST:
        raise NotUnderstood("It is too long to be understood.")
    parser = _Parser(text)
    meaning = parser.either(0)
    if parser.kind != "end":
        raise NotUnderstood(f"After the condition stands {parser.piece!r}, which belongs to nothing.")
    return meaning, list(dict.fromkeys(parser.slips))


class _Row(NamedTuple):
    """What stands between two `or`s."""

    items: tuple[Meaning, ...]

    def meaning(self) -> Meaning:
        return self.items[0] if len(self.items) == 1 else Every(self.items)


class _Parser(Words):
    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.negations = 0

    def connector(self, kind: Literal["and", "or"]) -> bool:
        if self.kind != kind:
            return False
        piece = self.take().piece
        if piece != kind:
            self.slip("connector-ignored" if piece.isalpha() else "not-a-sign", piece)
        return True

    def either(self, depth: int) -> Meaning:
        if depth > _DEEPEST:
            raise NotUnderstood("The parentheses are nested too deeply.")
        items, mixed = [self.every(depth)], False
        while self.connector("or"):
            mixed = True
            items.append(self.every(depth))
        if mixed and any(isinstance(item, _Row) and len(item.items) > 1 for item in items):
            self.slip("mixed-connectors", "")
        plain = tuple(item.meaning() for item in items)
        return plain[0] if len(plain) == 1 else Either(plain)

    def every(self, depth: int) -> _Row:
        items = [self.one(depth)]
        while True:
            if not self.connector("and"):
                if self.kind not in ("word", "not") and self.piece != "(":
                    return _Row(tuple(items))
                self.slip("no-connector", self.piece)
            items.append(self.one(depth))

    def one(self, depth: int) -> Meaning:
        if self.kind == "not":
            token = self.take()
            before_function = token.piece == "!" and self.piece in FUNCTIONS and self.touches(token)
            if not before_function:
                self.slip("not-ignored", token.piece)
            self.negations += 1
            if self.negations > _DEEPEST:
                raise NotUnderstood("There are too many negations.")
            return negated(self.one(depth))
        if self.piece == "(" and self.kind == "mark":
            self.take()
            if depth > 0:
                self.slip("nested-parentheses", "")
            meaning = self.either(depth + 1)
            self._close("Parentheses are not closed.")
            return meaning
        if self.kind != "word":
            raise NotUnderstood(
                f"Where a condition should stand is {self.piece!r}."
                if self.piece
                else "It ends where a condition should stand."
            )
        if self.tokens[self.at + 1].piece == "(" and self.piece.lower() not in ("in", "not"):
            return self._function(depth)
        return self._condition()

    def _function(self, depth: int) -> Meaning:
        name = self.take().piece
        self.take()
        if name.lower() == "exists" and self.kind == "word":
            return self._exists(name)
        if name.lower() not in FUNCTIONS:
            self._skip_arguments()
            self.slip("no-such-function", name)
            return self._unknown_function(name)
        if name != name.lower():
            self.slip("no-such-function", name)
        if depth > 0:
            self.slip("function-in-parentheses", name)
        comma = f"{name}() takes a field and a text, with a comma between them."
        if self.kind == "text" and [token.kind for token in self.tokens[self.at + 1 : self.at + 3]] == ["mark", "word"]:
            sought = self.text()
            self.expect(",", comma)
            field = self.take()
            self.slip("swapped-arguments", name)
        else:
            field = self.take()
            if field.kind != "word":
                raise NotUnderstood(f"{name}() begins with the name of a field.")
            self.expect(",", comma)
            sought = self.text()
        self._close(f"{name}() is not closed.")
        keys = keys_of(field.piece, self.slip)
        if isinstance(keys, Unsayable):
            return keys
        if keys == ("type",):
            self.slip("function-of-type", name)
            return Unsayable("functions can't look at the type; compare it with =")
        return Condition(keys, "contains", sought) if name.lower() == "contains" else matched(keys, sought, self.slip)

    def _exists(self, name: str) -> Meaning:
        self.slip("no-such-function", name)
        keys = keys_of(self.take().piece, self.slip)
        self._close(f"{name}() is not closed.")
        return keys if isinstance(keys, Unsayable) else Condition(keys, "exists", "null")

    def _close(self, sentence: str) -> None:
        """At the end of the text a parenthesis that is missing is plain; anywhere else it may belong in many places."""
        if self.kind == "end":
            self.slip("not-closed", "")
        else:
            self.expect(")", sentence)

    def _skip_arguments(self) -> None:
        depth = 1
        while depth:
            token = self.take()
            if token.kind == "end":
                raise NotUnderstood("Parentheses are not closed.")
            depth += (token.piece == "(") - (token.piece == ")")

    def _unknown_function(self, name: str) -> Meaning:
        if self.kind == "operator" or self.piece.lower() == "in":
            self.comparison()
            self.values()
        return Unsayable(f"{name}() is no function of Segment's, which has contains and match alone")

    def _condition(self) -> Meaning:
        field = self.take()
        operator = self.comparison()
        values = self.values()
        keys = keys_of(field.piece, self.slip)
        if isinstance(keys, Unsayable):
            return keys
        if operator in ("in", "not in"):
            each = tuple(compared(keys, "=", value, self.slip) for value in values)
            any_of: Meaning = each[0] if len(each) == 1 else Either(each)
            return any_of if operator == "in" else negated(any_of)
        return compared(keys, operator, values[0], self.slip)
