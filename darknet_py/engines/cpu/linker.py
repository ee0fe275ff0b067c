"""Joining object files to machine code in one piece, for any address: see `linked.place`.

Little is needed where code is compiled for any distance (the large code model), as Numba does for x86-64: all addresses
in it have 64 bits.

Source: System V Application Binary Interface, chapter 4, and its AMD64 supplement.
"""

from __future__ import annotations

import struct
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from .linked import Linked, find_functions

MAGIC, X86_64 = b"\x7fELF\2\1", 62  # 64 bits, little-endian
PROGBITS, SYMTAB, RELA = 1, 2, 4  # types of sections
ALLOC, EXECUTE, MERGE, STRINGS, LARGE = 2, 4, 16, 32, 1 << 28  # their flags
KNOWN = ALLOC | EXECUTE | MERGE | STRINGS | LARGE  # those that are handled: no section is written to
LOCAL, UNDEFINED = 0, 0  # a symbol's binding, its section
ADDRESS = 1  # the type of relocation that is handled: a 64-bit address
ALIGNMENT = 64


class _Section(NamedTuple):
    name: int
    type: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    align: int
    entry: int


class _Symbol(NamedTuple):
    name: int
    info: int
    other: int
    section: int
    value: int
    size: int


class _Relocation(NamedTuple):
    offset: int
    type: int
    symbol: int
    addend: int


SECTION, SYMBOL, RELOCATION = "<IIQQQQIIQQ", "<IBBHQQ", "<QIIq"


class UnlinkableError(Exception):
    """An object has something that is not handled here."""


def join_objects(objects: Sequence[bytes], own: Mapping[str, int]) -> Linked:
    """Join objects whose symbols are defined by the process, by `own` or by one of the objects.

    Raises
    ------
    UnlinkableError
        Where they are for another system or processor, or a section, symbol or relocation is not handled here.
    """
    code = bytearray()
    files = [_Object(content, code) for content in objects]
    entries = {name: place for file in reversed(files) for name, place in file.defined()}
    addresses: list[int] = []
    imports: dict[str, list[int]] = defaultdict(list)
    for file in files:
        for place, symbol, addend in file.relocations():
            found = file.find(symbol)
            if found is None:
                found = entries.get(file.name(symbol))
            if found is None:
                imports[file.name(symbol)].append(place)
            else:
                addresses.append(place)
            struct.pack_into("<q", code, place, (found or 0) + addend)
    try:
        find_functions(imports, own)
    except AttributeError as reason:
        raise UnlinkableError(str(reason)) from None
    return Linked(bytes(code), entries, addresses, dict(imports))


class _Object:
    """An object file whose code is appended to `code`."""

    def __init__(self, content: bytes, code: bytearray) -> None:
        if not sys.platform.startswith("linux") or content[:6] != MAGIC or _number("H", content, 18) != X86_64:
            raise UnlinkableError("for another system or processor")
        self._content = content
        start, count = _number("Q", content, 40), _number("H", content, 60)
        table = content[start : start + count * struct.calcsize(SECTION)]
        self._sections = [_Section(*row) for row in struct.iter_unpack(SECTION, table)]
        self._places: dict[int, int] = {}  # of sections, in `code`
        for index, section in enumerate(self._sections):
            if section.type == PROGBITS and section.flags & ALLOC and section.size:
                if section.flags & ~KNOWN or section.align > ALIGNMENT:
                    raise UnlinkableError(f"a section with flags {section.flags}, alignment {section.align}")
                code += bytes(-len(code) % ALIGNMENT)
                self._places[index] = len(code)
                code += self._data(section)
        (symbols,) = (section for section in self._sections if section.type == SYMTAB)
        self._symbols = [_Symbol(*row) for row in struct.iter_unpack(SYMBOL, self._data(symbols))]
        self._names = self._data(self._sections[symbols.link])

    def _data(self, section: _Section) -> bytes:
        return self._content[section.offset : section.offset + section.size]

    def name(self, symbol: int) -> str:
        start = self._symbols[symbol].name
        return self._names[start : self._names.index(b"\0", start)].decode()

    def find(self, symbol: int) -> int | None:
        """A symbol's offset in the joined code; None where it is defined elsewhere."""
        section = self._symbols[symbol].section
        if section == UNDEFINED:
            return None
        if section not in self._places:
            raise UnlinkableError(f"{self.name(symbol)} in section {section}")
        return self._places[section] + self._symbols[symbol].value

    def defined(self) -> Iterator[tuple[str, int]]:
        """The symbols that others may use, and their offsets."""
        for index, symbol in enumerate(self._symbols):
            if symbol.info >> 4 != LOCAL and symbol.section in self._places:
                yield self.name(index), self._places[symbol.section] + symbol.value

    def relocations(self) -> Iterator[tuple[int, int, int]]:
        """Where in the joined code addresses belong, each with its symbol and what is added to the symbol's address."""
        for section in self._sections:
            start = self._places.get(section.info)
            if section.type == RELA and start is not None:
                for row in struct.iter_unpack(RELOCATION, self._data(section)):
                    relocation = _Relocation(*row)
                    if relocation.type != ADDRESS:
                        raise UnlinkableError(f"a relocation of type {relocation.type}")
                    yield start + relocation.offset, relocation.symbol, relocation.addend


def _number(form: str, content: bytes, offset: int) -> int:
    number: int = struct.unpack_from(f"<{form}", content, offset)[0]
    return number
