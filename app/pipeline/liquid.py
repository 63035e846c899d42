"""The `@liquid` directive: Liquid templates, by python-liquid, held to what Segment allows of them.

Segment runs LiquidJS. Both speak Shopify's Liquid; values are printed, compared and filtered the JavaScript way here,
so that the same template gives the same text. Segment switches off loops, includes and the filters that can take long.
"""

from typing import Any, Final, TextIO

from liquid import Environment, RenderContext, TokenStream
from liquid.ast import Node
from liquid.builtin.output import Output, OutputNode
from liquid.builtin.tags.echo_tag import EchoNode, EchoTag
from liquid.exceptions import LiquidError, LiquidSyntaxError
from liquid.tag import Tag

from app.jsvalues import UNDEFINED
from app.pipeline.liquid_conditions import IfAsJavaScript, UnlessAsJavaScript
from app.pipeline.liquid_filters import DISABLED_FILTERS, FILTERS, compile_filter
from app.pipeline.liquid_text import MAX_TEXT, Filter, stringify
from app.pipeline.mapping_check import MappingError, fails
from app.pipeline.paths import Resolve

MAX_LENGTH: Final = 1000

DISABLED_TAGS: Final = ("case", "for", "include", "layout", "render", "tablerow")
UNKNOWN_TAGS: Final = ("doc", "ifchanged")
"""Tags of python-liquid that LiquidJS has not."""


class _Printed(OutputNode):
    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        return buffer.write(stringify(self.expression.evaluate(context)))


class _PrintedEcho(_Printed, EchoNode):
    pass


class _Output(Output):
    node_class = _Printed


class _Echo(EchoTag):
    node_class = _PrintedEcho


class _Disabled(Tag):
    def parse(self, stream: TokenStream) -> Node:
        raise LiquidSyntaxError(f'tag "{stream.current.value}" is disabled', token=stream.current)


class _Environment(Environment):
    # A captured text can be printed twice into the next one, and so on: thirty times is a gigabyte.
    output_stream_limit = MAX_TEXT
    local_namespace_limit = 10 * MAX_TEXT
    suppress_blank_control_flow_blocks = False
    string_sequences = True
    logical_not_operator = True

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        super().setup_tags_and_filters(extra=extra)
        self.add_tag(_Output)
        self.add_tag(_Echo)
        self.add_tag(IfAsJavaScript)
        self.add_tag(UnlessAsJavaScript)
        for tag in DISABLED_TAGS:
            self.tags[tag] = _Disabled(self)
        for tag in UNKNOWN_TAGS:
            del self.tags[tag]
        self.filters = {name: compile_filter(name, function) for name, function in FILTERS.items()}
        self.filters |= {name: _disabled_filter(name) for name in DISABLED_FILTERS}


def _disabled_filter(name: str) -> Filter:
    def disabled(*_arguments: Any, **_named: Any) -> Any:
        raise MappingError(f'filter "{name}" is disabled')

    return disabled


_ENVIRONMENT: Final = _Environment(strict_filters=False)


def unreadable(template: str) -> str | None:
    """What keeps a template from being parsed, or None."""
    try:
        _ENVIRONMENT.from_string(template)
    except LiquidError as fault:
        return str(fault.args[0])
    return None


def compile_liquid(template: str) -> Resolve:
    """A function that renders the template with an event's fields as its variables, always giving text.

    A template that can't be parsed gives a function that raises, because Segment parses it only when an event gets
    there.
    """
    try:
        parsed = _ENVIRONMENT.from_string(template)
    except LiquidError as fault:
        return fails(f"@liquid: {fault.args[0]}")

    def render(payload: Any) -> Any:
        if payload is UNDEFINED or not isinstance(payload, dict):
            payload = {}
        try:
            return parsed.render(payload)
        except MappingError:
            raise
        except Exception as fault:
            # Besides its own errors python-liquid lets through whatever Python says to odd values (`o contains o`).
            raise MappingError(f"@liquid: {fault.args[0] if fault.args else fault}") from fault

    return render
