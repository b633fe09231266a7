"""What the demo says and counts: the same words for the same question, whatever its format."""

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
PIECE = re.compile(r"\s*(?:\w+|[^\w\s])")
MESSAGE_TOKENS = 4  # the marks around each message
SHORTEST, SPREAD = 24, 48  # tokens of an answer without a limit
WORDS = (
    "This is the demo upstream of Tollkeeper. It answers without any network, so you can watch "
    "a call being attributed, priced and counted against its budgets before a real provider is "
    "connected. Every token of this text is counted, every cent of its cost is booked, and the "
    "charts show it within two seconds. Add an upstream of your own, point a route at it, and "
    "the same request will be answered by a real model with the same bookkeeping."
)
TOKENS = PIECE.findall(f" {WORDS}")  # it begins anew after its end


class NotUnderstoodError(ValueError):
    """A request that the demo cannot answer, as a provider would refuse it."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What an answer must be instead of words: arguments for `tool`, or JSON; both after `schema`."""

    schema: Any
    tool: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """An answer, token by token: words, JSON, or the arguments of `tool`."""

    seed: str
    pieces: tuple[str, ...]
    is_cut: bool  # the limit of the call ended it
    tool: str = ""

    @property
    def text(self) -> str:
        """Return the whole of it."""
        return "".join(self.pieces)

    @property
    def count(self) -> int:
        """Return its tokens."""
        return len(self.pieces)

    def arguments(self) -> Json:
        """Return the arguments as an object; none when the limit cut them."""
        found: Json = {} if self.is_cut else json.loads(self.text)
        return found


def say(question: Any, limit: Any = None, wish: Wish | None = None) -> Said:
    """Answer a question in at most `limit` tokens: with what is wished for, else with words."""
    seed = hashlib.sha256(json.dumps(question, default=str).encode()).digest()
    if wish is None:
        length = SHORTEST + seed[1] % SPREAD
        start = seed[2] % len(TOKENS)
        pieces = [TOKENS[(start + i) % len(TOKENS)] for i in range(length)]
        pieces[0] = pieces[0].lstrip()
    else:
        pieces = PIECE.findall(json.dumps(filled(wish.schema)))
    most = limit if isinstance(limit, int) and limit > 0 else len(pieces)
    is_cut = most < len(pieces)
    return Said(seed[:8].hex(), tuple(pieces[:most]), is_cut, wish.tool if wish else "")


def counted(*contents: Any) -> int:
    """Count the pieces of all text, and four tokens for the marks of each message."""
    return sum(MESSAGE_TOKENS + len(PIECE.findall(text_of(content))) for content in contents)


def declared(tools: Any) -> int:
    """Count the pieces of what a request says about its tools."""
    if not tools:
        return 0
    return len(PIECE.findall(json.dumps(tools, ensure_ascii=False, separators=(",", ":"))))


def text_of(content: Any) -> str:
    """Return the text of a content, whose parts are texts or hold one."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return " ".join(filter(None, map(text_of, content)))
    if isinstance(content, dict):
        names = ("text", "content", "parts", "output", "arguments")
        return " ".join(filter(None, (text_of(content.get(name)) for name in names)))
    return ""


def objects(value: Any) -> list[Json]:
    """Return the objects in a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def part(holder: Any, name: str) -> Json:
    """Return an object inside; empty when there is none."""
    value = holder.get(name) if isinstance(holder, dict) else None
    return value if isinstance(value, dict) else {}


def whole_number(value: Any, usual: int) -> int:
    """Return a positive whole number, or the usual one."""
    return value if type(value) is int and value > 0 else usual


def filled(schema: Any) -> Any:
    """Return a value that fits a JSON schema; an object always, as tools take nothing else."""
    value = _Filling(schema).value(schema)
    return value if isinstance(value, dict) else {}


class _Filling:
    """Makes a value of a schema, however deep that refers to itself."""

    MOST = 200  # values in all

    def __init__(self, root: Any) -> None:
        self._root = root
        self._left = self.MOST

    def value(self, schema: Any) -> Any:
        """Return what fits a part of the schema."""
        self._left -= 1
        schema = self._meant(schema)
        if "const" in schema:
            return schema["const"]
        if isinstance(schema.get("enum"), list) and schema["enum"]:
            return schema["enum"][0]
        kind = schema.get("type")
        kinds = [str(k).lower() for k in (kind if isinstance(kind, list) else [kind])]
        properties = part(schema, "properties")
        if "object" in kinds or properties:
            return {name: self.value(inner) for name, inner in properties.items() if self._left > 0}
        if "array" in kinds:
            return [self.value(schema.get("items"))] if self._left > 0 else []
        plain = {"integer": 1, "number": 1, "boolean": True, "null": None}
        return plain.get(kinds[0], "demo")

    def _meant(self, schema: Any) -> Json:
        """Follow one reference or the first alternative."""
        if not isinstance(schema, dict):
            return {}
        for name in ("anyOf", "oneOf"):
            if found := objects(schema.get(name)):
                return self._meant(found[0]) if self._left > 0 else {}
        reference = schema.get("$ref")
        if not isinstance(reference, str):
            return schema
        found_: Any = self._root
        for name in reference.removeprefix("#/").split("/"):
            found_ = part(found_, name)
        return found_ if "$ref" not in found_ else {}
