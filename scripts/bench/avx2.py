"""Run a benchmark as on a processor that has AVX2 but no AVX-512: python -m scripts.bench.avx2 [MODULE] [OPTIONS].

MODULE is scripts.bench unless given. Ours is limited by DARKNET_PY_ISA, PyTorch by its own variables. The others ask
the processor: copies of their libraries are made in the cache, in which a preloaded library answers (without_avx512.c).
This times AVX2 code on this processor, not a processor of another kind. Needs Linux on x86-64, gcc and objdump.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from darknet_py.cache import cache_dir

from .models import ROOT

ANSWERS = Path(__file__).with_name("without_avx512.c")
LIBRARIES = (
    "onnxruntime",
    "openvino",
    "ncnn",
    "ncnn.libs",
    "MNN",
    "mnn.libs",
    "_mnncengine*.so",
    "cv2",
    "opencv_python*.libs",
)
VARIABLES = {
    "DARKNET_PY_ISA": "avx2",
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
}
CPUID, UD2 = b"\x0f\xa2", b"\x0f\x0b"


def main() -> int:
    """Make the copies, unless they are there; run the benchmark on them."""
    module, *options = sys.argv[1:] or ["scripts.bench"]
    if module.startswith("-"):
        module, options = "scripts.bench", [module, *options]
    folder = cache_dir() / "bench" / "avx2"
    preloaded = folder / "without_avx512.so"
    if not preloaded.exists():
        _copy(folder / "site")
        subprocess.run(["gcc", "-O2", "-shared", "-fPIC", ANSWERS, "-o", preloaded], check=True)
    found = os.pathsep.join([str(folder / "site"), str(ROOT)])
    given = {**os.environ, **VARIABLES, "LD_PRELOAD": str(preloaded), "PYTHONPATH": found}
    return subprocess.run([sys.executable, "-m", module, *options], env=given).returncode


def _copy(site: Path) -> None:
    """Copy the libraries to `site`, without their cpuid instructions."""
    shutil.rmtree(site, ignore_errors=True)
    site.mkdir(parents=True)
    installed = Path(sysconfig.get_path("platlib"))
    for source in (path for pattern in LIBRARIES for path in installed.glob(pattern)):
        if source.is_dir():
            shutil.copytree(source, site / source.name)
        else:
            shutil.copy(source, site)
    for path in site.rglob("*.so*"):
        if path.is_file() and CPUID in path.read_bytes():
            _replace(path)


def _replace(path: Path) -> None:
    """Replace a library's cpuid instructions by ud2."""
    code = subprocess.run(["objdump", "-d", "--no-show-raw-insn", path], capture_output=True, text=True, check=True)
    addresses = [int(found, 16) for found in re.findall(r"^ *([0-9a-f]+):\s+cpuid\s*$", code.stdout, re.MULTILINE)]
    data = bytearray(path.read_bytes())
    for offset in _to_offsets(path, addresses):
        if data[offset : offset + 2] != CPUID:
            raise RuntimeError(f"{path}: no cpuid at {offset:#x}, where objdump has one")
        data[offset : offset + 2] = UD2
    path.write_bytes(data)


def _to_offsets(path: Path, addresses: list[int]) -> list[int]:
    """The offsets of addresses in the file, by its segments."""
    told = subprocess.run(["readelf", "-lW", path], capture_output=True, text=True, check=True)
    segments = [
        [int(number, 16) for number in line.split()[1:6]]
        for line in told.stdout.splitlines()
        if line.split()[:1] == ["LOAD"]
    ]
    return [
        address - start + offset
        for address in addresses
        for offset, start, _, size, _ in segments
        if start <= address < start + size
    ]


if __name__ == "__main__":
    sys.exit(main())
