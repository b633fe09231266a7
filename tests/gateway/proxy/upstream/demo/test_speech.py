"""What the demo fills into schemas, however they refer to themselves."""

from typing import Any

import pytest

from gateway.proxy.upstream.demo.speech import filled


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string"}, "demo"),
        ({"type": ["null", "number"]}, None),
        ({"type": "INTEGER"}, 1),
        ({"enum": ["a", "b"]}, "a"),
        ({"const": 5}, 5),
        ({"type": "array", "items": {"type": "boolean"}}, [True]),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, 1),
        ({"$ref": "#/$defs/Day"}, "monday"),
        ({"$ref": "#/$defs/Missing"}, "demo"),
        ({}, "demo"),
        ("nonsense", "demo"),
    ],
)
def test_a_value_fits_its_schema(schema: Any, value: Any) -> None:
    root = {"properties": {"x": schema}, "$defs": {"Day": {"enum": ["monday"]}}}

    assert filled(root) == {"x": value}


def test_a_schema_that_holds_itself_comes_to_an_end() -> None:
    node = {"properties": {name: {"$ref": "#/$defs/Node"} for name in "abcdefgh"}}

    text = str(filled({**node, "$defs": {"Node": node}}))

    assert 100 < len(text) < 10_000


@pytest.mark.parametrize("schema", [None, 3, [], {"type": "string"}])
def test_arguments_are_always_an_object(schema: Any) -> None:
    assert filled(schema) == {}
