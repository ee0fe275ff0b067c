"""Which modules may import which, read from the sources; the rules that keep the parts of the package separate."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache

import pytest
from conftest import ROOT

PACKAGE = ROOT / "darknet_py"
# For each file or folder of the package, the others that it may import; all may import EVERYWHERE.
EVERYWHERE = {"errors", "files", "cache", "forks", "streams", "version"}
ALLOWED = {
    "__main__": {"cli", "interrupt", "lazy"},
    "alike": {"layers"},
    "cache": set(),
    "cfg": {"cfg_files", "remarks"},
    "cfg_files": set(),
    "classifier": {
        "alike",
        "datasets",
        "heatmap",
        "images",
        "layers",
        "networks",
        "onnx_export",
        "packaged",
        "prediction",
        "running",
    },
    "cli": {"commands", "foreign", "report"},
    "commands": {
        "alike",
        "cfg",
        "classifier",
        "datasets",
        "engines",
        "downloads",
        "evaluation",
        "images",
        "interrupt",
        "inventory",
        "limits",
    }
    | {"layers", "limits", "network", "networks", "onnx_export", "packaged", "pages", "prediction", "report", "running"}
    | {"per_thread", "runs", "serving", "surgery", "training", "video", "weights"},
    "content_id": set(),
    "datasets": {"cfg", "images", "networks", "remarks", "runs"},
    "downloads": {"content_id"},
    "engines": {"images", "layers", "limits", "parameters"},
    "errors": set(),
    "evaluation": {"alike", "classifier", "datasets", "images", "layers", "limits", "per_thread", "running", "runs"},
    "export_nodes": {"layers", "onnx_activations", "onnx_graph"},
    "files": set(),
    "foreign": set(),
    "forks": set(),
    "heatmap": {"layers", "parameters", "prediction"},
    "images": {"opencv"},
    "interrupt": set(),
    "inventory": {"downloads", "runs"},
    "layers": {"cfg"},
    "lazy": set(),
    "limits": set(),
    "network": {"cfg", "cfg_files", "layers"},
    "networks": set(),
    "onnx_activations": {"layers", "onnx_graph"},
    "onnx_export": {"engines", "export_nodes", "layers", "network", "onnx_activations", "onnx_graph", "parameters"},
    "onnx_graph": {"layers"},
    "opencv": set(),
    "packaged": {"downloads", "networks"},
    "pages": {"datasets", "evaluation", "images", "training"},
    "parameters": {"layers"},
    "per_thread": {"classifier", "layers"},
    "prediction": set(),
    "remarks": set(),
    "report": {"datasets", "evaluation", "layers", "prediction", "training"},
    "running": {"cfg", "engines", "layers", "limits", "network", "parameters", "weights"},
    "runs": set(),
    "serving": {
        "alike",
        "cfg",
        "classifier",
        "heatmap",
        "images",
        "layers",
        "limits",
        "per_thread",
        "prediction",
        "remarks",
    },
    "streams": set(),
    "surgery": {"engines", "layers", "network", "parameters"},
    "training": {"cfg", "classifier", "datasets", "engines", "evaluation", "images"}
    | {"layers", "limits", "network", "parameters", "running", "runs", "weights"},
    "version": set(),
    "video": {"images", "opencv"},
    "weights": {"layers", "network", "parameters"},
}
# Libraries that are heavy, that not every machine has, or that only a program needs, and the only places where they may
# appear.
CONFINED = {
    "numba": ("engines/cpu",),
    "llvmlite": ("engines/cpu",),
    "cupy": ("engines/cuda",),
    "cudnn": ("engines/cuda/cudnn.py",),
    "PIL": ("images/decode.py", "images/decoders", "images/draw.py"),
    "simplejpeg": ("images/decoders/jpeg.py",),
    "argparse": ("cli.py", "commands"),
    "requests": ("downloads.py",),
    "tqdm": ("downloads.py", "commands", "engines/cpu/jit.py", "engines/cuda/tune.py"),
    "cv2": ("opencv.py",),
    "onnx": ("onnx_export.py", "onnx_graph.py"),
    "dask": ("evaluation/cluster.py",),
    "distributed": ("evaluation/cluster.py", "evaluation/worker.py"),
    "filelock": ("runs/lock.py",),
    "shtab": ("commands/completion.py",),
    "jinja2": ("pages/render.py",),
    "starlette": ("serving/app.py", "serving/asked.py"),
    "uvicorn": ("serving/server.py",),
    "python_multipart": ("commands/serve.py",),
    "prometheus_client": ("serving/metrics.py",),
}
PRINTING = ("cli.py", "commands", "report.py", "streams.py")  # the library only logs, under its own name
SOURCES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


@cache
def nodes(source):
    return [*ast.walk(ast.parse((PACKAGE / source).read_text(), source))]


@cache
def imports(source):
    """The full names of what a file imports, at its top or within functions."""
    package, found = ["darknet_py", *source.split("/")[:-1]], []
    for node in nodes(source):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            module = [*base, *(node.module.split(".") if node.module else [])]
            found += [".".join([*module, alias.name]) for alias in node.names]
    return found


def calls(source):
    """What a file calls, and the calls."""
    return [(ast.unparse(node.func), node) for node in nodes(source) if isinstance(node, ast.Call)]


def lies_in(source, places):
    return any(source == place or source.startswith(place + "/") for place in places)


def room(source):
    return source.split("/")[0].removesuffix(".py")


def test_a_room_imports_only_those_that_it_may_know():
    for source in [source for source in SOURCES if source != "__init__.py"]:
        own = room(source)
        assert own in ALLOWED, f"{own} is a new room: say above whom it may import"
        for name in imports(source):
            parts = name.split(".")
            if parts[0] == "darknet_py" and parts[1] not in (own, "__version__"):
                assert parts[1] in ALLOWED[own] | EVERYWHERE, f"{source} imports {name}"


def modules():
    """For each module, the others of the package that it imports, including those for types."""
    names = {source.removesuffix(".py").removesuffix("/__init__").replace("/", "."): source for source in SOURCES}
    known = {f"darknet_py.{name}": source for name, source in names.items() if name != "__init__"}
    known["darknet_py"] = "__init__.py"
    asked = "darknet_py.__version__"  # on another machine
    return {
        module: {found if found in known else found.rpartition(".")[0] for found in imports(source) if found != asked}
        & known.keys()
        for module, source in known.items()
    }


def test_no_module_needs_itself():
    left = modules()
    while done := [module for module, needed in left.items() if not needed & left.keys() - {module}]:
        for module in done:
            del left[module]
    assert not left, "these import each other in a circle, or need some that do"


def test_no_engine_looks_up_to_the_list_of_engines():
    for module, needed in modules().items():
        if module.startswith("darknet_py.engines."):
            assert "darknet_py.engines" not in needed, module


def test_libraries_stay_where_they_belong():
    for source in SOURCES:
        for name in imports(source):
            top = name.split(".")[0]
            if top in CONFINED:
                assert lies_in(source, CONFINED[top]), f"{source} imports {name}"


def test_only_the_program_prints():
    for source in SOURCES:
        if not lies_in(source, PRINTING):
            for name, _ in calls(source):
                assert name not in ("print", "remark", "say"), source
                assert not name.startswith("sys.stdout"), source


def test_what_is_written_as_json_is_json():
    """NaN and Infinity are not JSON; what an engine keeps is read only by itself."""
    for source in [source for source in SOURCES if not source.startswith("engines/")]:
        for name, call in calls(source):
            if name in ("json.dump", "json.dumps"):
                assert "allow_nan=False" in map(ast.unparse, call.keywords), f"{source}: {ast.unparse(call)}"


@pytest.mark.parametrize(("one", "other"), [("cpu", "cuda"), ("cuda", "cpu")])
def test_engines_do_not_know_each_other(one, other):
    for source in SOURCES:
        if source.startswith(f"engines/{one}/"):
            assert not any(name.startswith(f"darknet_py.engines.{other}") for name in imports(source)), source


def test_layers_and_passes_know_no_engine():
    known = "engines/exchange.py", "engines/folding.py", "engines/passes.py", "engines/slots.py"
    for source in SOURCES:
        if source.startswith("layers/") or source in known:
            engines = {name for name in imports(source) if name.startswith("darknet_py.engines")}
            assert not {
                name
                for name in engines
                if not name.startswith(("darknet_py.engines.exchange", "darknet_py.engines.slots"))
            }, source


def run_python(code):
    """What `code` prints in a fresh interpreter."""
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    return ran.stdout.split()


@pytest.mark.parametrize("statement", ["import darknet_py", "import darknet_py.cli", "import darknet_py.engines"])
def test_importing_loads_nothing_heavy(statement):
    heavy = [*CONFINED.keys() - {"argparse"}, "pooch", "platformdirs"]
    loaded = run_python(f"import sys; {statement}; print(*({set(heavy)} & sys.modules.keys()))")
    assert loaded == []


def test_importing_the_package_loads_no_numpy_and_still_names_all_it_offers():
    code = (
        "import sys, darknet_py; print('numpy' in sys.modules, all(hasattr(darknet_py, n) for n in darknet_py.__all__))"
    )
    assert run_python(code) == ["False", "True"]


def test_the_reference_engine_needs_no_compiler():
    assert run_python("import sys, darknet_py.engines.reference; print('numba' in sys.modules)") == ["False"]
