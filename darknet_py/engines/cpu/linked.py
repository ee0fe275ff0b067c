"""Machine code in one piece, which each process loads at an address of its own.

Its object files are joined when they are compiled (`linker`): LLVM, which would otherwise link them at each start,
takes longer to load than a small network to run.
"""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

# The function that frees memory which an array owns: ours own none, but linking fails where a name is unknown.
OWN = {"NRT_MemInfo_call_dtor": ctypes.cast(ctypes.pythonapi.Py_FatalError, ctypes.c_void_p).value or 0}


class Linked(NamedTuple):
    """Joined objects.

    Attributes
    ----------
    code : bytes or memoryview
        Code and constants; in place of each address, its distance from the start, or from what is imported.
    entries : mapping of str to int
        Where in the code functions begin.
    addresses : sequence of int
        Where in the code its own addresses are.
    imports : mapping of str to sequence of int
        Where the addresses of what others define are, by name.
    """

    code: bytes | memoryview
    entries: Mapping[str, int]
    addresses: Sequence[int]
    imports: Mapping[str, Sequence[int]]


def place(linked: Linked, own: Mapping[str, int]) -> int:
    """Load code at an address, where it stays as long as the process: threads may run it to the very end.

    Parameters
    ----------
    linked : Linked
    own : mapping of str to int
        Addresses of imports that the process does not have.

    Returns
    -------
    int
        The address.

    Raises
    ------
    MemoryError
        Where the system gives no memory.
    OSError
        Where it does not let the memory be executed.
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
    """Add an address to the 64-bit numbers at `places`, which need not be aligned."""
    cells = np.asarray(places, np.int64)[:, None] + np.arange(8)
    code[cells] = (code[cells].view("<i8") + address).view(np.uint8)


def find_functions(names: Iterable[str], own: Mapping[str, int]) -> dict[str, int]:
    """Addresses of imported functions, from `own` or else the process; AttributeError where neither has one."""
    process = ctypes.CDLL(None)
    return {
        name: own[name] if name in own else ctypes.cast(getattr(process, name), ctypes.c_void_p).value or 0
        for name in names
    }
