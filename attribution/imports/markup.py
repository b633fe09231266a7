"""XML of strangers, read as a stream of elements: no document type, no entities, nothing fetched."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

CHUNK = 1 << 16
MOST_DEPTH = 64


class MarkupError(ValueError):
    """XML that is broken, or that declares a document type."""

    code = "broken_markup"


@dataclass(slots=True)
class Element:
    """An element by its local name, whatever its namespace."""

    name: str
    attributes: dict[str, str]
    children: list["Element"] = field(default_factory=list)
    text: str = ""

    def inside(self, name: str, *, but_not_in: str = "") -> Iterator["Element"]:
        """Yield the elements of a name below this one, in their order."""
        for child in self.children:
            if child.name == name:
                yield child
            elif child.name != but_not_in:
                yield from child.inside(name, but_not_in=but_not_in)


class _Builder:
    """Collects whole elements of one name; what stands outside of them is forgotten."""

    def __init__(self, wanted: str) -> None:
        self.wanted = wanted
        self.done: list[Element] = []
        self.open: list[Element] = []
        self.depth = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        if self.depth > MOST_DEPTH:
            raise MarkupError("nested too deeply")
        local = name.rpartition(" ")[2]
        if self.open or local == self.wanted:
            plain = {key.rpartition(" ")[2]: value for key, value in attributes.items()}
            element = Element(local, plain)
            if self.open:
                self.open[-1].children.append(element)
            self.open.append(element)

    def end(self, name: str) -> None:
        self.depth -= 1
        if self.open:
            element = self.open.pop()
            if not self.open:
                self.done.append(element)

    def data(self, text: str) -> None:
        if self.open:
            self.open[-1].text += text

    def refuse(self, *declared: object) -> None:
        raise MarkupError("a document type is declared")


def elements(content: bytes, name: str) -> Iterator[Element]:
    """Yield every outermost element of a name, one after the other."""
    builder = _Builder(name)
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = builder.refuse
    for at in range(0, len(content), CHUNK):
        _feed(parser, content[at : at + CHUNK], is_last=False)
        yield from builder.done
        builder.done.clear()
    _feed(parser, b"", is_last=True)
    yield from builder.done


def _feed(parser: expat.XMLParserType, chunk: bytes, *, is_last: bool) -> None:
    try:
        parser.Parse(chunk, is_last)
    except expat.ExpatError as error:
        raise MarkupError(str(error)) from error
