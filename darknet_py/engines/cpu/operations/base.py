"""The base of all operations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from typing_extensions import dataclass_transform
else:

    def dataclass_transform(**_: bool):
        """Only type checkers need it."""
        return lambda record: record


@dataclass_transform(kw_only_default=True, frozen_default=True, eq_default=False)
class Operation:
    """What one call of a kernel is given: all the fields that a subclass annotates, by name.

    Not a dataclass: to make one takes half a millisecond, for each operation at each start.

    Attributes
    ----------
    opcode : int
    fields : mapping of str to str
        Each one's type: ``int`` or ``float``.
    """

    opcode: ClassVar[int]
    fields: ClassVar[Mapping[str, str]]

    def __init_subclass__(cls) -> None:
        cls.fields = cls.__annotations__

    def __init__(self, **values: float) -> None:
        if values.keys() != self.fields.keys():
            wrong = ", ".join(sorted(values.keys() ^ self.fields.keys()))
            raise TypeError(f"{type(self).__name__}: missing or unknown: {wrong}")
        vars(self).update(values)
