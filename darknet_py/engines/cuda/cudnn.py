"""cuDNN, where NVIDIA's frontend to it is installed: graphs of convolutions, and their plans."""

from __future__ import annotations

import re
import threading
import warnings
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import DarknetWarning, EngineError
from ...limits import core_count, has_memory
from ..aside import Aside
from ..passes import SLOPES
from .convolution import Convolution
from .kept import forget, is_kept, keep

# As cuDNN calls them. Not float32, which it computes in tf32. What it stores in tf32 is not rounded: tensor
# cores that read it truncate it.
PRECISIONS = {"tf32": "FLOAT", "float16": "HALF", "bfloat16": "BFLOAT16"}
SOURCE, WEIGHTS, BIASES, RESIDUAL, TARGET = range(1, 6)  # tensors of a graph
MAX_WORKSPACE = 64 << 20  # bytes
PER_ENGINE, CONSIDERED = 2, 4  # plans, those that cuDNN rates best: each takes about half a second to compile
MOST_COMPILERS, COMPILER_MEMORY = 16, 500_000_000  # processes that compile plans, and the bytes of each
PATIENCE = 10.0  # seconds to wait for each of a process's plans
ASKED = re.compile(r"cudnn:eng(\d+)_k24=(\d+)")  # plans that can be requested without being proposed
# Activations besides the `SLOPES`, as nodes of a graph.
CURVES: dict[str, Callable[[Any, Any], Any]] = {
    "logistic": lambda graph, x: graph.sigmoid(x),
    "mish": lambda graph, x: graph.mul(x, graph.tanh(graph.softplus(x))),
    "swish": lambda graph, x: graph.swish(x),
    "tanh": lambda graph, x: graph.tanh(x),
}
SUFFIX = ".plan"  # of files in the cache
FRONTEND = "1.28."  # whose interface this is written for; later ones need much more
INSTALL = f"pip install nvidia-cudnn-frontend=={FRONTEND}* nvidia-cudnn-cu12, or -cu13 for a driver of CUDA 13"


class UnsupportedError(EngineError):
    """cuDNN cannot compute a graph, or not in this way."""


@dataclass(frozen=True)
class Plan:
    """A compiled graph.

    Attributes
    ----------
    graph : cudnn.pygraph
    workspace : int
        Bytes that it needs.
    """

    graph: Any
    workspace: int


@dataclass(frozen=True)
class GraphLaunch:
    """A plan with its operands.

    Attributes
    ----------
    cudnn : Cudnn
        The library that executes it.
    plan : Plan
    tensors : dict of int to int
        Addresses by the graph's tensors.
    workspace : int
        Its address.
    """

    cudnn: Cudnn
    plan: Plan
    tensors: dict[int, int]
    workspace: int


def open_cudnn(gpu: str, number: int, current: Callable[[], AbstractContextManager[None]]) -> Cudnn | None:
    """The library for the GPU of this `number`, by the parameters of `Cudnn`; None where it is not fully installed."""
    try:
        import cudnn
    except ImportError:
        return None
    except (AssertionError, OSError) as reason:
        _warn(reason)
        return None
    try:
        cudnn.backend_version()
    except RuntimeError:  # only the frontend is there
        return None
    try:
        if not cudnn.__version__.startswith(FRONTEND):
            raise RuntimeError(f"its frontend is {cudnn.__version__}; {FRONTEND}* is expected: {INSTALL}")
        with current():
            properties = _describe(cudnn, number)
            return Cudnn(cudnn, gpu, current, properties, handle=_create_handle(cudnn))
    except (RuntimeError, EngineError) as reason:
        _warn(reason)
        return None


def _create_handle(cudnn: Any) -> Any:
    try:
        return cudnn.create_handle()
    except RuntimeError as reason:  # which would be mistaken for a GPU that does not work
        raise UnsupportedError(_first_line(reason)) from None


def _describe(cudnn: Any, number: int) -> str:
    """A GPU in cuDNN's own JSON, which describes it to a process without a GPU; empty where this cuDNN has none."""
    try:
        text: str = cudnn.create_device_properties(number).serialize()
    except (AttributeError, RuntimeError):
        return ""
    return text


def _warn(reason: Exception) -> None:
    warnings.warn(DarknetWarning(f"cuDNN is left out: {_first_line(reason)}"), stacklevel=3)


def _first_line(reason: Exception) -> str:
    return (str(reason).strip() or type(reason).__name__).splitlines()[0]


class Cudnn:
    """The library, for one GPU.

    Parameters
    ----------
    frontend : module
        cudnn, NVIDIA's frontend.
    gpu : str
        The GPU's name and the versions of its software, for which plans are kept.
    current : callable
        A context in which the calling thread's calls go to this GPU.
    properties : str
        The GPU in cuDNN's JSON; where it is empty, no other processes compile plans.
    **where
        ``handle`` or ``device_property``, which tells the library the GPU.

    Attributes
    ----------
    frontend : module
    version : str
        The library's and the frontend's.
    plans : dict of (Convolution, str) to Plan
        Those that are compiled or loaded, by their names.
    """

    def __init__(
        self,
        frontend: Any,
        gpu: str,
        current: Callable[[], AbstractContextManager[None]],
        properties: str = "",
        **where: Any,
    ) -> None:
        self.frontend, self._current, self._where, self._properties = frontend, current, where, properties
        # The text that defines the graphs: an old plan of another graph would compute something else.
        self._made_of = Path(__file__).read_text(encoding="utf-8") + repr(SLOPES)
        self.version = f"cudnn {frontend.backend_version()}, frontend {frontend.__version__}"
        self._made_for = f"{gpu}, {self.version}"
        self._lock = threading.Lock()
        self._idle: list[Any] = []  # handles that nobody uses: destroying one would disturb what others record
        self.plans: dict[tuple[Convolution, str], Plan] = {}
        self._compiled: dict[tuple[Convolution, str], bytes] = {}  # by other processes, and not asked for yet

    def names(self, convolution: Convolution) -> list[str]:
        """Names of plans that may compute `convolution`, of several engines, those that are probably fastest first."""
        try:
            with self._working():
                _, names = self._planned(convolution)
        except UnsupportedError:
            return []
        engines = Counter[str]()
        chosen = []
        for name in names:
            engine = name.split("_")[0]
            engines[engine] += 1
            if engines[engine] <= PER_ENGINE:
                chosen.append(name)
        return chosen[:CONSIDERED]

    def plan(self, convolution: Convolution, name: str) -> Plan:
        """The compiled graph, from the cache if it is there.

        Raises
        ------
        UnsupportedError
        """
        key = convolution, name
        with self._working():
            if key not in self.plans:
                compiled = keep(self._content(*key), SUFFIX, lambda: self._compile(convolution, name))
                graph = self.frontend.pygraph(**self._where)
                graph.deserialize(list(compiled))  # which does not accept bytes
                workspace = graph.get_workspace_size()
                if workspace > MAX_WORKSPACE:
                    raise UnsupportedError(f"takes a workspace of {workspace >> 20} MiB")
                self.plans[key] = Plan(graph, workspace)
            return self.plans[key]

    def compile_beside(
        self, wanted: Iterable[tuple[Convolution, str]], told: Callable[[list[Aside]], Iterable[Aside]] = iter
    ) -> None:
        """Compile plans that are not kept yet in other processes, one for each core: `plan` holds up all threads.

        There are fewer processes where memory does not suffice. A plan that none returns is compiled when it is asked
        for. `told` shows how many have finished.
        """
        missing = [key for key in wanted if key not in self.plans and not is_kept(self._content(*key), SUFFIX)]
        count = min(core_count(), MOST_COMPILERS, len(missing)) if self._properties else 0
        while count and not has_memory(count * COMPILER_MEMORY):
            count -= 1
        shares = [missing[first::count] for first in range(count)]
        with ExitStack() as stack:
            asides = [stack.enter_context(Aside(compile_plans, (self._properties, share))) for share in shares]
            for share, aside in zip(shares, told(asides), strict=True):
                brought = zip(share, aside.receive(PATIENCE * len(share)) or (), strict=False)
                self._compiled |= {key: compiled for key, compiled in brought if compiled is not None}

    def settle(self, convolution: Convolution, refused: Iterable[str]) -> None:
        """Drop the plans for `convolution` of the `refused` names, from the cache too."""
        with self._lock:
            for name in refused:
                self._compiled.pop((convolution, name), None)
                self.plans.pop((convolution, name), None)
                forget(self._content(convolution, name), SUFFIX)

    def _content(self, convolution: Convolution, name: str) -> str:
        """All that a compiled plan depends on."""
        return "\n".join([self._made_for, self._made_of, repr(convolution), name])

    def graph(self, convolution: Convolution) -> Any:
        """y = final_activation(activation(convolution(x) + biases) + residual), channels last."""
        kinds = self.frontend.data_type
        kind = getattr(kinds, PRECISIONS[convolution.precision])
        graph = self.frontend.pygraph(
            io_data_type=kind, intermediate_data_type=kinds.FLOAT, compute_data_type=kinds.FLOAT, **self._where
        )

        def tensor(uid: int, dimensions: Sequence[int], stride: int, data_type: Any = kind) -> Any:
            strides = _channels_last(dimensions, stride)
            return graph.tensor(dim=list(dimensions), stride=strides, data_type=data_type, uid=uid)

        groups = convolution.groups
        pictures, filters = convolution.pictures, groups.count * groups.filters
        target = pictures, filters, convolution.out_height, convolution.out_width
        y = graph.conv_fprop(
            tensor(
                SOURCE,
                (pictures, groups.count * groups.channels, convolution.height, convolution.width),
                convolution.source_stride,
            ),
            tensor(WEIGHTS, (filters, groups.channels, convolution.size_y, convolution.size_x), groups.channels),
            padding=[convolution.padding] * 2,
            stride=[convolution.stride] * 2,
            dilation=[1, 1],
        )
        y = graph.bias(y, tensor(BIASES, (1, filters, 1, 1), filters, kinds.FLOAT))
        y = _activate(graph, y, convolution.activation)
        if convolution.residual_stride:
            y = graph.add(y, tensor(RESIDUAL, target, convolution.residual_stride))
            y = _activate(graph, y, convolution.final_activation)
        y.set_output(True).set_data_type(kind).set_uid(TARGET)
        y.set_dim(list(target)).set_stride(_channels_last(target, convolution.target_stride))
        return graph

    def execute(self, launch: GraphLaunch, handle: Any) -> None:
        """Put a graph's work into the stream of `handle`.

        Raises
        ------
        UnsupportedError
        """
        with self._working():
            launch.plan.graph.execute(launch.tensors, launch.workspace, handle)

    def open_handle(self, owner: object, stream: int) -> Any:
        """A handle to execute graphs in a CUDA `stream`, as long as its `owner` lives.

        Raises
        ------
        UnsupportedError
        """
        with self._working():
            handle = self._idle.pop() if self._idle else self.frontend.create_handle()
            weakref.finalize(owner, self._idle.append, handle).atexit = False
            self.frontend.set_stream(handle, stream)
        return handle

    @contextmanager
    def _working(self) -> Iterator[None]:
        """Let the library work for this thread alone, and turn its errors into `UnsupportedError`."""
        with self._lock, self._current():
            try:
                yield
            except (self.frontend.cudnnGraphNotSupportedError, RuntimeError) as reason:
                raise UnsupportedError(f"cuDNN declines: {_first_line(reason)}") from None

    def _planned(self, convolution: Convolution) -> tuple[Any, list[str]]:
        """A graph and the names of its plans, in the order in which cuDNN rates them."""
        graph = self.graph(convolution)
        graph.validate()
        graph.build_operation_graph()
        graph.create_execution_plans([self.frontend.heur_mode.A])
        count = graph.get_execution_plan_count()
        return graph, [f"cudnn:{graph.get_plan_name_at_index(index)}" for index in range(count)]

    def _compile(self, convolution: Convolution, name: str) -> bytes:
        if (convolution, name) in self._compiled:
            return self._compiled.pop((convolution, name))
        graph, names = self._planned(convolution)
        if name not in names:
            asked = ASKED.fullmatch(name)
            if asked is None:
                raise UnsupportedError(f"cuDNN has no plan {name}")
            engine, setting = map(int, asked.groups())
            graph.create_execution_plan(engine, {self.frontend.knob_type.KERNEL_CFG: setting})
            names = [*names, name]
        graph.build_plan_at_index(names.index(name))
        return bytes(graph.serialize())


def compile_plans(work: tuple[str, Sequence[tuple[Convolution, str]]]) -> list[bytes | None]:
    """Compile plans for a GPU that is known only by its properties; None for a plan that cuDNN declines."""
    import cudnn

    with suppress(ImportError, RuntimeError):  # where pip puts NVRTC, cuDNN alone does not find all of it
        from cuda.pathfinder import load_nvidia_dynamic_lib

        load_nvidia_dynamic_lib("nvrtc")
    properties, keys = work
    library = Cudnn(cudnn, "", nullcontext, device_property=cudnn.create_device_properties(properties))
    compiled: list[bytes | None] = [None] * len(keys)
    for number, key in enumerate(keys):
        with suppress(UnsupportedError), library._working():
            compiled[number] = library._compile(*key)
    return compiled


def _channels_last(dimensions: Sequence[int], stride: int) -> list[int]:
    """Strides of (pictures, channels, height, width) whose pixels are `stride` apart."""
    _, _, height, width = dimensions
    return [height * width * stride, 1, width * stride, stride]


def _activate(graph: Any, y: Any, activation: str) -> Any:
    if activation == "linear":
        return y
    if activation in SLOPES:
        return graph.relu(y, negative_slope=SLOPES[activation])
    return CURVES[activation](graph, y)
