"""Operations in compiled code: the fields of each, by name.

Kernels' docstrings refer to what is at an address by the field's name in capitals: A, FACTOR.
"""

from __future__ import annotations

from typing import Any

from numba import types
from numba.core.typing.templates import AttributeTemplate
from numba.extending import infer_getattr, intrinsic, lower_getattr_generic, models, register_model

from ..operations import INTEGERS, NUMBERS
from .vector import F32, I64, pointer


class Row(types.Type):
    """Numba's type of the address of an operation's row of numbers of one kind, with its columns as attributes."""

    def __init__(self, number: Any, kind: Any, columns: tuple[str, ...]) -> None:
        super().__init__(name=f"row of {number}")
        self.number, self.kind, self.columns = number, kind, columns


_INTEGERS, _NUMBERS = Row(types.int64, I64, INTEGERS), Row(types.float32, F32, NUMBERS)


@register_model(Row)
class _RowModel(models.PrimitiveModel):
    def __init__(self, manager: Any, row: Any) -> None:
        super().__init__(manager, row, row.kind.as_pointer())


@infer_getattr
class _RowAttributes(AttributeTemplate):
    key = Row

    def generic_resolve(self, row: Any, name: str) -> Any:
        return row.number if name in row.columns else None


@lower_getattr_generic(Row)
def _read(context: Any, build: Any, row: Any, start: Any, name: str) -> Any:
    return build.load(build.gep(start, [I64(row.columns.index(name))]))


def _row_at(row: Row) -> Any:
    @intrinsic
    def row_at(context: Any, address: Any) -> Any:
        """The row at an address, as the record of an operation."""

        def codegen(context: Any, build: Any, sig: Any, args: Any) -> Any:
            return pointer(build, args[0], row.kind)

        return row(types.intp), codegen

    return row_at


integers_at, numbers_at = _row_at(_INTEGERS), _row_at(_NUMBERS)
