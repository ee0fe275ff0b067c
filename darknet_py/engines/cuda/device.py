"""The GPU, through CuPy: memory, kernels, graphs. No other module here imports CuPy."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ...errors import EngineError
from ...limits import core_count, tell_size
from .compiler import INSTALL, architecture_for, check_driver, load_compiled
from .cudnn import MOST_COMPILERS, Cudnn, GraphLaunch, open_cudnn
from .kernels import STATIC_SHARED, Kernel, Launch

if TYPE_CHECKING:
    import numpy.typing as npt

FREE_SHARED = (48 << 10) - STATIC_SHARED  # bytes of shared memory that a thread block gets without asking
MAX_DYNAMIC_SHARED = 8  # CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
OUT_OF_MEMORY = 2  # cudaErrorMemoryAllocation
ANY = "engine=cuda"  # what was asked for where no GPU was named


class Memory(Protocol):
    """Bytes on the GPU, which are freed when this is gone."""

    address: int
    size: int


class Queue(Protocol):
    """Work that is done in order, at the same time as that of other queues."""

    def write(self, memory: Memory, array: npt.NDArray[Any]) -> None:
        """Copy `array` to the beginning of `memory`; when this returns, the array may change."""

    def read(self, memory: Memory, array: npt.NDArray[Any]) -> None:
        """Copy from the beginning of `memory` into `array`, once all earlier work is done."""

    def compile(
        self, launches: Iterable[Launch | GraphLaunch], told: Callable[[list[Kernel]], Iterable[Kernel]] = iter
    ) -> None:
        """Compile the kernels of `launches` that `record` would compile, several at a time.

        `told` shows how many are done.
        """

    def record(self, launches: Iterable[Launch | GraphLaunch]) -> Any:
        """Record `launches`, so that `replay` repeats them with little effort.

        Raises
        ------
        UnsupportedError
            Where cuDNN cannot do what it had planned.
        """

    def replay(self, recording: Any) -> None:
        """Do what was recorded; the caller does not wait for it."""

    def measure(self, recording: Any, times: int) -> float:
        """Seconds that `recording` takes, the least of so many runs."""


class Device(Protocol):
    """A GPU.

    Attributes
    ----------
    name : str
        As its maker calls it.
    versions : str
        The versions of the software on which the speed of kernels depends.
    capability : tuple of int
        Its compute capability.
    multiprocessors : int
    shared_limit : int
        Bytes of shared memory that a thread block may have.
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
            Where fewer are left.
        """

    def upload(self, array: npt.NDArray[Any]) -> Memory:
        """A copy of `array`."""

    def free_memory(self) -> int:
        """Bytes that could be allocated."""

    def open_queue(self, blocking: bool = False) -> Queue:
        """A new queue; if it is `blocking`, a thread that waits for it leaves the core to others."""

    def open_cudnn(self) -> Cudnn | None:
        """cuDNN for this GPU; None where it is not installed."""


class CupyMemory:
    """Bytes on the GPU, and as many on the host once copies have gone through them."""

    def __init__(self, cupy: Any, size: int) -> None:
        self.size = size
        self.memory = cupy.cuda.Memory(size)
        self.address: int = self.memory.ptr
        self._cupy = cupy
        self._staging: npt.NDArray[np.uint8] | None = None

    @property
    def staging(self) -> npt.NDArray[np.uint8]:
        """Pinned memory of the host, which the GPU reads and writes by itself."""
        if self._staging is None:
            # CuPy's pool would keep freed memory for requests of the same size; there are as many sizes as of pictures.
            pinned = self._cupy.cuda.PinnedMemory(self.size)
            pointer = self._cupy.cuda.PinnedMemoryPointer(pinned, 0)
            self._staging = np.frombuffer(pointer, np.uint8, self.size)
        return self._staging


def tell_gpus() -> list[str]:
    """Each GPU in words: what it is, how much memory is free, what software it has; or why it cannot be used.

    Raises
    ------
    EngineError, MemoryError
        Where the first cannot be used.
    """
    first = CupyDevice()
    count = first.cupy.cuda.runtime.getDeviceCount()
    return [_tell(first), *map(_tell_other, range(1, count))]


def _tell(device: CupyDevice) -> str:
    capability = ".".join(map(str, device.capability))
    free = tell_size(device.free_memory())
    return f"{device.name}, compute capability {capability}, {free} free, {device.versions}"


def _tell_other(number: int) -> str:
    try:
        return _tell(CupyDevice(number))
    except (EngineError, MemoryError) as reason:
        return str(reason)


class CupyDevice:
    """One GPU.

    Parameters
    ----------
    number : int, optional
        Which, from 0; the first where absent.

    Raises
    ------
    EngineError
        Where CuPy is not installed or finds no such GPU, or no kernels can be made for it.
    """

    # A thread's recording breaks when another one, of any network, makes the GPU wait, as what this guards may.
    setting_up = threading.RLock()

    def __init__(self, number: int | None = None) -> None:
        self._asked = ANY if number is None else f"gpu {number}"
        self.number = number = number or 0
        self.cupy = _import_cupy(self._asked)
        self._compiled: dict[Kernel, bytes] = {}  # and not loaded yet
        self._compiling = threading.Lock()
        self._functions: dict[Kernel, Any] = {}
        with self._explained():
            count = self.cupy.cuda.runtime.getDeviceCount()
        if number >= count:
            expected = "0" if count == 1 else f"0 to {count - 1}"
            raise EngineError(f"this machine has {count}; {expected} is expected", option=self._asked)
        try:
            self._open()
        except MemoryError as reason:
            raise self._unusable(reason) from None

    def _open(self) -> None:
        """Ask for what the engine must know, and check that the GPU works."""
        with self.current():
            runtime, nvrtc = self.cupy.cuda.runtime, self.cupy.cuda.nvrtc
            properties = runtime.getDeviceProperties(self.number)
            self.name: str = properties["name"].decode()
            self.capability: tuple[int, int] = properties["major"], properties["minor"]
            self.multiprocessors: int = properties["multiProcessorCount"]
            self.shared_limit: int = properties["sharedMemPerBlockOptin"]
            driver = runtime.driverGetVersion()
            self.versions = f"driver {driver}, nvrtc {check_driver(nvrtc, driver)}"
            self._architecture = architecture_for(nvrtc, self.name, self.capability)
        self.allocate(1)  # fails here where the GPU does not work

    @contextmanager
    def current(self) -> Iterator[None]:
        """Let this thread's calls go to this GPU, and turn CUDA's errors into those of this program."""
        with self._explained():
            self.cupy.cuda.runtime.setDevice(self.number)
            yield

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (self.cupy.cuda.runtime.CUDARuntimeError, self.cupy.cuda.driver.CUDADriverError) as error:
            if error.status == OUT_OF_MEMORY:
                raise MemoryError(str(error)) from None
            raise self._unusable(error) from None
        except RuntimeError as error:  # CuPy finds no libraries of CUDA's, or none that fits
            raise self._unusable(error) from None

    def _unusable(self, error: Exception) -> EngineError:
        what = "no GPU can be used" if self._asked == ANY else "it cannot be used"
        return EngineError(f"{what}: {str(error).splitlines()[0]}; take the CPU: -nogpu", option=self._asked)

    def allocate(self, size: int) -> CupyMemory:
        with self.setting_up, self.current():
            memory = CupyMemory(self.cupy, size)
            self.cupy.cuda.runtime.memset(memory.address, 0, size)
            self.cupy.cuda.runtime.streamSynchronize(0)  # deviceSynchronize would disturb what other threads record
        return memory

    def upload(self, array: npt.NDArray[Any]) -> CupyMemory:
        contiguous = np.ascontiguousarray(array)
        with self.setting_up, self.current():
            memory = self.allocate(contiguous.nbytes)
            runtime = self.cupy.cuda.runtime
            runtime.memcpy(memory.address, contiguous.ctypes.data, contiguous.nbytes, runtime.memcpyHostToDevice)
            runtime.streamSynchronize(0)
        return memory

    def free_memory(self) -> int:
        with self.current():
            free: int = self.cupy.cuda.runtime.memGetInfo()[0]
        return free

    def open_queue(self, blocking: bool = False) -> CupyQueue:
        return CupyQueue(self, blocking)

    def open_cudnn(self) -> Cudnn | None:
        return open_cudnn(f"{self.name}, {self.versions}", self.number, self.current)

    def compile(self, kernels: Iterable[Kernel], told: Callable[[list[Kernel]], Iterable[Kernel]] = iter) -> None:
        """Compile the kernels that are not compiled yet, one on each core; `told` shows how many are done."""
        load = partial(load_compiled, self.cupy.cuda.nvrtc, architecture=self._architecture)
        with self._compiling, self._explained():
            known = self._compiled, self._functions
            missing = [kernel for kernel in dict.fromkeys(kernels) if not any(kernel in one for one in known)]
            with ThreadPoolExecutor(min(core_count(), MOST_COMPILERS)) as pool:
                coming = {kernel: pool.submit(load, kernel) for kernel in missing}
                try:
                    for kernel in told(missing):
                        self._compiled[kernel] = coming[kernel].result()
                except BaseException:
                    pool.shutdown(cancel_futures=True)
                    raise

    def function(self, kernel: Kernel) -> Any:
        """The compiled kernel, ready to be launched."""
        with self.setting_up, self.current():
            if kernel not in self._functions:
                self.compile([kernel])
                module = self.cupy.cuda.function.Module()
                module.load(self._compiled[kernel])
                function = module.get_function(kernel.name)
                if kernel.shared > FREE_SHARED:
                    self.cupy.cuda.driver.funcSetAttribute(function.ptr, MAX_DYNAMIC_SHARED, kernel.shared)
                self._functions[kernel] = function
                del self._compiled[kernel]
            return self._functions[kernel]


class CupyQueue:
    """A stream.

    Parameters
    ----------
    device : CupyDevice
    blocking : bool
        Whether a thread that waits sleeps; otherwise it polls, which notices the end sooner.
    """

    def __init__(self, device: CupyDevice, blocking: bool) -> None:
        self.device, self.cupy = device, device.cupy
        self._handle: Any = None  # cuDNN's
        with device.current():
            self.stream = self.cupy.cuda.Stream(non_blocking=True)
            self.event = self.cupy.cuda.Event(block=True, disable_timing=True) if blocking else None

    def write(self, memory: CupyMemory, array: npt.NDArray[Any]) -> None:
        numbers = np.ascontiguousarray(array)
        with self.device.current():
            staging = memory.staging[: numbers.nbytes]  # free again: each write is followed by a wait
            staging[:] = numbers.reshape(-1).view(np.uint8)
            runtime = self.cupy.cuda.runtime
            runtime.memcpyAsync(
                memory.address, staging.ctypes.data, staging.size, runtime.memcpyHostToDevice, self.stream.ptr
            )

    def read(self, memory: CupyMemory, array: npt.NDArray[Any]) -> None:
        with self.device.current():
            staging = memory.staging[: array.nbytes]
            runtime = self.cupy.cuda.runtime
            runtime.memcpyAsync(
                staging.ctypes.data, memory.address, staging.size, runtime.memcpyDeviceToHost, self.stream.ptr
            )
            if self.event is None:
                self.stream.synchronize()
            else:
                self.event.record(self.stream)
                self.event.synchronize()
        array.reshape(-1).view(np.uint8)[:] = staging

    def compile(
        self, launches: Iterable[Launch | GraphLaunch], told: Callable[[list[Kernel]], Iterable[Kernel]] = iter
    ) -> None:
        self.device.compile((launch.kernel for launch in launches if isinstance(launch, Launch)), told)

    def record(self, launches: Iterable[Launch | GraphLaunch]) -> Any:
        launches = [*launches]
        self.compile(launches)
        with self.device.setting_up, self.device.current(), self.stream:
            ready = [self._ready(launch) for launch in launches]  # loading cannot be recorded
            self.stream.begin_capture()
            try:
                for launch in ready:
                    launch()
            except BaseException:  # the stream would record for ever; that the recording is invalid is no news
                with suppress(Exception):
                    self.stream.end_capture()
                raise
            graph = self.stream.end_capture()
            graph.upload(self.stream)
        return graph

    def replay(self, recording: Any) -> None:
        with self.device.current():
            recording.launch(self.stream)

    def measure(self, recording: Any, times: int) -> float:
        with self.device.current():
            recording.launch(self.stream)
            milliseconds = []
            for _ in range(times):
                start, end = self.cupy.cuda.Event(), self.cupy.cuda.Event()
                start.record(self.stream)
                recording.launch(self.stream)
                end.record(self.stream)
                end.synchronize()
                milliseconds.append(self.cupy.cuda.get_elapsed_time(start, end))
        seconds: float = min(milliseconds) / 1000
        return seconds

    def _ready(self, launch: Launch | GraphLaunch) -> Callable[[], None]:
        """A function that puts `launch` into the stream, with everything loaded that it needs."""
        if isinstance(launch, Launch):
            return partial(self._launch_kernel, launch, self.device.function(launch.kernel))
        execute = partial(self._execute_graph, launch)
        execute()  # cuDNN loads its kernels when it first runs them
        return execute

    def _execute_graph(self, launch: GraphLaunch) -> None:
        if self._handle is None:
            self._handle = launch.cudnn.open_handle(self, self.stream.ptr)
        launch.cudnn.execute(launch, self._handle)

    def _launch_kernel(self, launch: Launch, function: Any) -> None:
        kernel = launch.kernel
        pointers = (ctypes.c_void_p * 1)(launch.arguments.ctypes.data)  # the driver copies what they point at
        self.cupy.cuda.driver.launchKernel(
            function.ptr, *launch.grid, 1, kernel.threads, 1, 1, kernel.shared,
            self.stream.ptr, ctypes.addressof(pointers), 0,
        )  # fmt: skip


def _import_cupy(asked: str) -> Any:
    try:
        import cupy
    except Exception as reason:  # errors of many kinds, with an incompatible NumPy
        missing = isinstance(reason, ModuleNotFoundError) and reason.name == "cupy"
        cause = str(reason.__cause__ or reason).strip() or type(reason).__name__  # CuPy's own text begins with a rule
        text = "CuPy is not installed" if missing else f"CuPy cannot be loaded: {cause.splitlines()[0]}"
        raise EngineError(f"{text}; {INSTALL}, or take the CPU: -nogpu", option=asked) from None
    return cupy
