"""What every operation is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Operation:
    """What one call of a kernel is told."""

    opcode: ClassVar[int]
