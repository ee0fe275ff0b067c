"""Loading the kernels from the cache, or compiling them, once per machine.

A program that finds them there imports neither Numba nor, on x86-64 Linux, LLVM: importing these took half of its time
on a small network.
"""

from __future__ import annotations

import ctypes
import io
import logging
import pickle
import platform
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec, source_hash
from itertools import accumulate
from pathlib import Path

from ...cache import cache_dir, keep
from ...errors import EngineError
from ...limits import has_memory, memory_limits, processor_count, tell_size
from .isa import ASKED, ISA, PROCESSOR, refuse_foreign, refuse_missing
from .linked import OWN, Linked, place
from .table import COUNTS, SYMBOLS

LOG = logging.getLogger(__name__)
COMPILING = 170_000_000  # bytes of memory at least: it was killed within 220 MB, and finished within 248
BAR = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}"
# The files that are compiled, and those that compile them.
SOURCES = (
    "compiled/*.py", "arena.py", "compiler.py", "isa.py", "jit.py", "linked.py", "linker.py", "operations/*.py",
    "table.py", "toom.py", "../../layers/activations.py", "../../layers/batchnorm.py",
)  # fmt: skip


class Native:
    """The functions of `compiled.entry`, compiled."""

    work: Callable[..., int]
    interpolate: Callable[..., int]
    warp: Callable[..., int]

    def __init__(self, content: bytes) -> None:
        """Load what `_make` returned."""
        stream = io.BytesIO(content)
        fields, code = pickle.load(stream), memoryview(content)[stream.tell() :]
        if "sizes" in fields:
            from .compiler import link

            ends = accumulate(fields["sizes"])
            objects = [bytes(code[end - size : end]) for size, end in zip(fields["sizes"], ends, strict=True)]
            self._engine = link(objects, OWN)
            places = {symbol: self._engine.get_function_address(symbol) for symbol in SYMBOLS.values()}
        else:
            linked = Linked(code, **fields)
            try:
                start = place(linked, OWN)
            except OSError as reason:
                raise EngineError(f"no kernels can be run: {reason.strerror}", option="engine=cpu") from None
            places = {symbol: start + entry for symbol, entry in linked.entries.items()}
        for name, count in COUNTS.items():
            setattr(self, name, ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * count)(places[SYMBOLS[name]]))


@cache
def load_kernels() -> Native:
    """The kernels, ready to run; EngineError where they cannot run on this machine."""
    if ASKED:
        refuse_missing(ISA)
    return Native(make_kernels())


def make_kernels() -> bytes:
    """Take the kernels from the cache, or compile and keep them; a damaged file is replaced.

    Kernels for an instruction set that was asked for may be for another machine, and then do not run on this one;
    EngineError where no machine of this one's family could run them.
    """
    if ASKED:
        refuse_foreign(ISA)
    path = kernels_path()
    LOG.debug("kernels: %s", path)
    return keep(path, _make)


def kernels_path() -> Path:
    """Where in the cache this version's kernels for this machine are, or would be."""
    return cache_dir() / "kernels" / f"{_key()}.bin"


def _make(kept: bool) -> bytes:
    """A pickle that describes the machine code after it: linked, or object files for LLVM to link."""
    for limit in memory_limits():  # otherwise the system would kill the process without a word
        if limit.used + COMPILING > limit.size:
            needed, most = tell_size(limit.used + COMPILING), tell_size(limit.size)
            raise EngineError(f"compiling kernels takes {needed}, more than {limit.whose} {most}", option="engine=cpu")
    # Another process helps where there is a processor for it, and memory for both.
    alone = processor_count() == 1 or not has_memory(2 * COMPILING)
    from tqdm import tqdm

    from .compiler import compile_kernels
    from .linker import UnlinkableError, join_objects

    doing = f"compiling kernels for {ISA.name}{', once' if kept else ''}"
    hidden = None if LOG.isEnabledFor(logging.INFO) else True  # None hides it where standard error is no terminal
    with tqdm(desc=doing, total=1, leave=False, disable=hidden, bar_format=BAR, miniters=0) as bar:
        if bar.disable:
            LOG.info("%s: about 13 seconds on two cores", doing)
        objects = compile_kernels(alone, lambda share: bar.update(share - bar.n))
    try:
        linked = join_objects(objects, OWN)
    except UnlinkableError:
        return pickle.dumps({"sizes": [*map(len, objects)]}) + b"".join(objects)
    entries = {symbol: entry for symbol, entry in linked.entries.items() if symbol in SYMBOLS.values()}
    fields = {"entries": entries, "addresses": linked.addresses, "imports": linked.imports}
    return pickle.dumps(fields) + linked.code


def _key() -> str:
    """A hash of what the compiled kernels depend on."""
    folder = Path(__file__).parent
    # An instruction set that was asked for is compiled for all processors that have it.
    processor = platform.machine() if ASKED else PROCESSOR.identity
    made_by = f"{processor} {ISA.name} {ASKED}".encode() + _tell_version("numba") + _tell_version("llvmlite")
    sources = sorted(path for pattern in SOURCES for path in folder.glob(pattern))
    return source_hash(b"".join([made_by, *(path.read_bytes() for path in sources)])).hex()


def _tell_version(package: str) -> bytes:
    """Bytes that identify a package's version; it is not imported, and importlib.metadata takes ten times as long."""
    found = find_spec(package)
    if found is None or found.origin is None:
        raise ImportError(f"No module named {package!r}")
    try:
        return Path(found.origin).with_name("_version.py").read_bytes()
    except FileNotFoundError:
        from importlib.metadata import version

        return version(package).encode()
