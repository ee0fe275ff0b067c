"""The GPU, through CuPy: memory, kernels, graphs. Nothing else here knows CuPy."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ...cache import cache_dir
from ...errors import EngineError
from .kernels import Kernel
from .launches import Launch

INSTALL = "pip install 'darknet_py[cuda12]', or [cuda13] where the driver is of CUDA 13"


class Memory(Protocol):
    """Bytes on the GPU; they are free again when this is gone."""

    address: int
    size: int


class Queue(Protocol):
    """Work that is done in its order, beside that of other queues."""

    def write(self, memory: Memory, array: npt.NDArray[Any]) -> None:
        """Copy `array` to the begin of `memory`; when this returns, the array may change."""

    def read(self, memory: Memory, array: npt.NDArray[Any]) -> None:
        """Copy from the begin of `memory` into `array`, once all that came before is done."""

    def record(self, launches: Iterable[Launch]) -> Any:
        """What `replay` does again and again with little effort."""

    def replay(self, recording: Any) -> None:
        """Do what was recorded; the caller does not wait for it."""

    def measure(self, recording: Any, times: int) -> float:
        """Seconds that `recording` takes, the least of so many `times`."""


class Device(Protocol):
    """A GPU.

    Attributes
    ----------
    name : str
        As its maker calls it.
    versions : str
        Of the software on which the speed of kernels depends.
    capability : tuple of int
        Its compute capability.
    multiprocessors : int
    shared_limit : int
        Bytes of shared memory that a block may have.
    """

    name: str
    versions: str
    capability: tuple[int, int]
    multiprocessors: int
    shared_limit: int

    def allocate(self, size: int) -> Memory:
        """`size` bytes, all 0.

        Raises
        ------
        MemoryError
            Where there are not so many left.
        """

    def upload(self, array: npt.NDArray[Any]) -> Memory:
        """A copy of `array`."""

    def free_memory(self) -> int:
        """Bytes that could be allocated."""

    def open_queue(self, blocking: bool = False) -> Queue:
        """A queue of its own; where it is `blocking`, who waits for it leaves the core to others."""


class CupyMemory:
    """Bytes on the GPU, and as many on the host through which copies go."""

    def __init__(self, pointer: Any, size: int) -> None:
        self.pointer, self.size = pointer, size
        self.address: int = pointer.ptr
        self.staging: npt.NDArray[np.uint8] | None = None


class CupyDevice:
    """One GPU.

    Parameters
    ----------
    number : int
        Which, from 0.

    Raises
    ------
    EngineError
        Where CuPy is not installed, or finds no such GPU.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.cupy = _import_cupy()
        with self._explained():
            count = self.cupy.cuda.runtime.getDeviceCount()
        if number >= count:
            reason = f"this machine has {count}; 0 {f'to {count - 1} ' * (count > 1)}is expected"
            raise EngineError(reason, option=f"gpu {number}")
        with self._explained(), self.cupy.cuda.Device(number):
            properties = self.cupy.cuda.runtime.getDeviceProperties(number)
            self.name = properties["name"].decode()
            self.capability = properties["major"], properties["minor"]
            self.multiprocessors = properties["multiProcessorCount"]
            self.shared_limit = properties["sharedMemPerBlockOptin"]
            driver = self.cupy.cuda.runtime.driverGetVersion()
            self.versions = f"driver {driver}, nvrtc {'.'.join(map(str, self.cupy.cuda.nvrtc.getVersion()))}"
            # A pool would keep what is let go, and tell nobody how much that is.
            self.allocator = self.cupy.cuda.MemoryPool()
            self.allocator.malloc(512)  # fails here where the GPU does not work

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """CUDA's errors in one line."""
        try:
            yield
        except self.cupy.cuda.runtime.CUDARuntimeError as error:
            raise EngineError(
                f"no GPU can be used: {str(error).splitlines()[0]}; take the CPU: -nogpu", option="engine=cuda"
            ) from None

    def allocate(self, size: int) -> CupyMemory:
        with self.cupy.cuda.Device(self.number):
            try:
                pointer = self.allocator.malloc(size)
            except self.cupy.cuda.memory.OutOfMemoryError:
                self.allocator.free_all_blocks()
                raise MemoryError(f"{size} bytes on {self.name}") from None
            pointer.memset(0, size)
            self.cupy.cuda.get_current_stream().synchronize()
        return CupyMemory(pointer, size)

    def upload(self, array: npt.NDArray[Any]) -> CupyMemory:
        memory = self.allocate(array.nbytes)
        contiguous = np.ascontiguousarray(array)
        with self.cupy.cuda.Device(self.number):
            memory.pointer.copy_from_host(contiguous.ctypes.data_as(_VOID), contiguous.nbytes)
        return memory

    def free_memory(self) -> int:
        with self.cupy.cuda.Device(self.number):
            self.allocator.free_all_blocks()
            free: int = self.cupy.cuda.runtime.memGetInfo()[0]
        return free

    def open_queue(self, blocking: bool = False) -> CupyQueue:
        return CupyQueue(self, blocking)

    @lru_cache(maxsize=None)  # noqa: B019 (a device lives as long as the program)
    def function(self, kernel: Kernel) -> Any:
        """The compiled kernel, ready to launch."""
        with self.cupy.cuda.Device(self.number):
            function = self.cupy.RawModule(path=str(compiled(kernel, self.capability))).get_function(kernel.name)
            if kernel.shared > 48 << 10:
                function.max_dynamic_shared_size_bytes = kernel.shared
        return function
