"""Conditions of `{% if %}` and `{% unless %}` that compare as JavaScript does: `"120" > 100` holds, nothing is an
error.

python-liquid parses them; where it would refuse to compare a text with a number (an event has either), these take over.
"""

import math
from collections.abc import Callable
from typing import Any, Final

from liquid import RenderContext, TokenStream
from liquid.ast import Node
from liquid.builtin.expressions.logical import (
    BooleanExpression,
    ContainsExpression,
    GeExpression,
    GtExpression,
    LeExpression,
    LogicalAndExpression,
    LogicalNotExpression,
    LogicalOrExpression,
    LtExpression,
)
from liquid.builtin.expressions.primitive import Blank, Empty, Nil
from liquid.builtin.tags.if_tag import IfNode, IfTag
from liquid.builtin.tags.unless_tag import UnlessNode, UnlessTag
from liquid.expression import Expression

from app import jsvalues
from app.pipeline.liquid_text import plain

Compare = Callable[[Any, Any], bool]


class _Comparison(Expression):
    """Two expressions and how their values are compared."""

    def __init__(self, plain_expression: Any, compare: Compare) -> None:
        super().__init__(plain_expression.token)
        self.left, self.right, self.compare = plain_expression.left, plain_expression.right, compare

    def evaluate(self, context: RenderContext) -> object:
        left, right = self.left.evaluate(context), self.right.evaluate(context)
        words = (Blank, Empty, Nil)
        if isinstance(self.left, words) or isinstance(self.right, words):
            return False
        return self.compare(plain(left), plain(right))

    def children(self) -> list[Expression]:
        return [self.left, self.right]


class IfAsJavaScript(IfTag):
    """`if` and its `elsif`s."""

    def parse(self, stream: TokenStream) -> Node:
        return _converted(super().parse(stream))


class UnlessAsJavaScript(UnlessTag):
    """`unless` and its `elsif`s."""

    def parse(self, stream: TokenStream) -> Node:
        return _converted(super().parse(stream))


def _converted(node: Node) -> Node:
    if isinstance(node, (IfNode, UnlessNode)):
        _convert(node.condition)
        for alternative in node.alternatives:
            _convert(alternative.expression)
    return node


def _convert(expression: Any) -> Any:
    """The expression with its comparisons replaced, at any depth."""
    if isinstance(expression, BooleanExpression):
        expression.expression = _convert(expression.expression)
    elif isinstance(expression, (LogicalAndExpression, LogicalOrExpression)):
        expression.left, expression.right = _convert(expression.left), _convert(expression.right)
    elif isinstance(expression, LogicalNotExpression):
        expression.right = _convert(expression.right)
    elif type(expression) in _COMPARISONS:
        return _Comparison(expression, _COMPARISONS[type(expression)])
    return expression


def _ordered(texts: Callable[[str, str], bool], numbers: Callable[[float, float], bool]) -> Compare:
    """Two texts by their letters, anything else by its number; what has none is never less or more."""

    def compare(left: Any, right: Any) -> bool:
        left, right = _primitive(left), _primitive(right)
        if isinstance(left, str) and isinstance(right, str):
            return texts(left, right)
        first, second = jsvalues.to_number(left), jsvalues.to_number(right)
        return not math.isnan(first) and not math.isnan(second) and numbers(first, second)

    return compare


def _primitive(value: Any) -> Any:
    return jsvalues.to_string(value) if isinstance(value, (list, dict)) else value


def _contains(left: Any, right: Any) -> bool:
    if isinstance(left, list):
        return any(jsvalues.type_of(item) == jsvalues.type_of(right) and bool(item == right) for item in left)
    return isinstance(left, str) and jsvalues.to_string(right) in left


_COMPARISONS: Final[dict[type, Compare]] = {
    LtExpression: _ordered(str.__lt__, float.__lt__),
    LeExpression: _ordered(str.__le__, float.__le__),
    GtExpression: _ordered(str.__gt__, float.__gt__),
    GeExpression: _ordered(str.__ge__, float.__ge__),
    ContainsExpression: _contains,
}
