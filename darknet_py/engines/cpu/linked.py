"""Machine code in one piece, which each program brings to an address of its own.

Its object files are joined when they are compiled (`linker`): LLVM, which else would link them at each start, takes
longer to load than a small network to run.
"""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

# What frees memory that an array owns; ours own none, but nothing can be linked where a name is unknown.
OWN = {"NRT_MemInfo_call_dtor": ctypes.cast(ctypes.pythonapi.Py_FatalError, ctypes.c_void_p).value or 0}


class Linked(NamedTuple):
    """Joined objects.

    Attributes
    ----------
    code : bytes or memoryview
        Code and constants; where an address is wanted, how far from the start it lies, or from what is imported.
    entries : mapping of str to int
        Where functions begin.
    addresses : sequence of int
        Where addresses lie.
    imports : mapping of str to sequence of int
        Where those of what others define lie, by its names.
    """

    code: bytes | memoryview
    entries: Mapping[str, int]
    addresses: Sequence[int]
    imports: Mapping[str, Sequence[int]]


def place(linked: Linked, own: Mapping[str, int]) -> int:
    """Bring code to an address, where it stays as long as the process: threads may be in it to the very end.

    Parameters
    ----------
    linked : Linked
    own : mapping of str to int
        Addresses of what it imports and is not the process's.

    Returns
    -------
    int
        The address.

    Raises
    ------
    OSError
        Where the system gives no memory to run code in.
    """
    system = ctypes.CDLL(None, use_errno=True)
    system.mmap.restype, size = ctypes.c_void_p, len(linked.code)
    system.mmap.argtypes = ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_int64
    system.mprotect.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    start: int = system.mmap(None, size, mmap.PROT_READ | mmap.PROT_WRITE, flags, -1, 0)
    if start == ctypes.c_void_p(-1).value:
        raise MemoryError
    code = np.frombuffer(memoryview((ctypes.c_uint8 * size).from_address(start)), np.uint8)
    code[:] = np.frombuffer(linked.code, np.uint8)
    _add(code, linked.addresses, start)
    for name, found in find_functions(linked.imports, own).items():
        _add(code, linked.imports[name], found)
    if system.mprotect(start, size, mmap.PROT_READ | mmap.PROT_EXEC):
        number = ctypes.get_errno()
        raise OSError(number, "memory cannot be made executable")
    return start


def _add(code: npt.NDArray[np.uint8], places: Sequence[int], address: int) -> None:
    """Add an address to the numbers of 64 bits at `places`, which need not be aligned."""
    cells = np.asarray(places, np.int64)[:, None] + np.arange(8)
    code[cells] = (code[cells].view("<i8") + address).view(np.uint8)


def find_functions(names: Iterable[str], own: Mapping[str, int]) -> dict[str, int]:
    """Addresses of what is imported; AttributeError where the process has no such function."""
    process = ctypes.CDLL(None)
    return {
        name: own[name] if name in own else ctypes.cast(getattr(process, name), ctypes.c_void_p).value or 0
        for name in names
    }
