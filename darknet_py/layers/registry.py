"""Finding a layer's class by a section's name; its file is imported when it is first asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module

from .base import Layer


class Registry(MutableMapping[str, type[Layer]]):
    """Layer classes by the names of sections.

    Parameters
    ----------
    places : mapping of str to str
        For each name the file in this folder, and the class in it: ``"avgpool.AvgPool"``.
    """

    def __init__(self, places: Mapping[str, str]) -> None:
        self._found: dict[str, str | type[Layer]] = dict(places)

    def __getitem__(self, name: str) -> type[Layer]:
        found = self._found[name]
        if isinstance(found, str):
            module, _, layer = found.partition(".")
            found = self._found[name] = getattr(import_module(f".{module}", __package__), layer)
        return found

    def __setitem__(self, name: str, layer: type[Layer]) -> None:
        self._found[name] = layer

    def __delitem__(self, name: str) -> None:
        del self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def __contains__(self, name: object) -> bool:
        return name in self._found
