"""What holds for any programme: it can be written down and read, and once it is loaded its plan is empty."""

from typing import Any

import msgspec
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.programmes import file
from app.programmes.load import load, plan
from tests.programmes.conftest import Place

NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=12)
KINDS = st.sampled_from(["string", "number"])
COUNTS = st.integers(1, 10_000)
METADATA = st.dictionaries(st.sampled_from(["Reward", "region", "n"]), st.booleans() | st.integers(0, 9) | NAMES)


def _some(**fields: Any) -> Any:
    return st.fixed_dictionaries({}, optional=fields)


RULES: st.SearchStrategy[list[dict[str, Any]]] = st.lists(
    st.builds(
        dict[str, Any],
        banner=NAMES,
        when=st.just({"order": "paid"}),
        points=COUNTS,
        active=st.booleans(),
        per=st.sampled_from(["order total", "order before discounts"]).flatmap(
            lambda base: COUNTS.map(lambda every: {"of": base, "every_minor_units": every})
        ),
        metadata=METADATA,
    ),
    max_size=3,
    unique_by=lambda rule: rule["banner"],
)
GIVES = st.one_of(
    st.floats(0.5, 100).map(lambda percent: {"percent_off": round(percent, 2)}),
    st.tuples(st.integers(1, 100), COUNTS).map(lambda two: {"percent_off": two[0], "at_most_minor_units": two[1]}),
    COUNTS.map(lambda amount: {"amount_off_minor_units": amount}),
)
COMMON = {"active": st.booleans(), "metadata": METADATA, "description": NAMES, "codes": st.just("A-########")}


@st.composite
def programmes(draw: st.DrawFn) -> dict[str, Any]:
    """A programme of what the sandbox has had from its beginning."""
    names = draw(st.lists(NAMES, min_size=4, max_size=4, unique=True))
    discount, other, loyalty, reward = names
    return {
        "programme": "Any",
        "metadata_schemas": {"customer": draw(st.dictionaries(NAMES, KINDS, max_size=2))},
        "events": [{"name": draw(NAMES), "metadata": {"a": "number"}}],
        "products": [{"source_id": draw(NAMES), "name": draw(NAMES), "price_minor_units": draw(COUNTS)}],
        "rewards": [{"name": reward, "coupon_of": discount, **draw(_some(description=NAMES, metadata=METADATA))}],
        "campaigns": [
            {"kind": "discount", "name": discount, "gives": draw(GIVES), **draw(_some(**COMMON))},
            {"kind": "discount", "name": other, "gives": draw(GIVES), "number_of_codes": draw(st.integers(1, 5)),
             "starts": "2026-01-01", "ends": draw(st.sampled_from(["2030-12-31", "2030-12-31T10:00:00Z"]))},
            {"kind": "loyalty", "name": loyalty, "welcome_points": draw(COUNTS), "earning_rules": draw(RULES),
             "rewards": [{"reward": reward, "points": draw(COUNTS)}],
             **draw(_some(**COMMON, joins_by_earning=st.booleans()))},
        ],
    }  # fmt: skip


class Plain(yaml.SafeDumper):  # type: ignore[misc]  # it has no types
    """Writes what stands twice twice, without anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def written(content: dict[str, Any]) -> str:
    return str(yaml.dump(content, Dumper=Plain, allow_unicode=True))


@settings(max_examples=60, deadline=None)
@given(content=programmes())
def test_what_is_written_is_read(content: dict[str, Any]) -> None:
    """A programme that is written as YAML by another program is read as the same programme."""
    read = file.read(written(content), "p.yaml")
    assert read == msgspec.convert(content, type(read))


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=programmes())
async def test_what_was_loaded_needs_nothing(place: Place, content: dict[str, Any]) -> None:
    """Once it is loaded, nothing is missing and nothing differs; and once more makes no writing call."""
    programme = file.read(written(content), "p.yaml")
    assert (await place.http.post("/sandbox/reset")).status_code == 200
    await load(place.target, programme)
    place.app.edge.log.clear()
    left, _ = await plan(place.target, programme)
    assert ([step.says for step in left.steps], [str(each) for each in left.differences]) == ([], [])
    await load(place.target, programme)
    assert place.written() == []
