"""What pip installs, and what a Python program finds in it."""

from __future__ import annotations

import doctest
import email
import importlib
import re
import subprocess
import sys
import zipfile

import pytest
from conftest import ROOT
from support_cli import PATIENCE, environment

import darknet_py

tomllib = pytest.importorskip("tomllib" if sys.version_info >= (3, 11) else "tomli")  # pytest brings it
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def distribution(requirement):
    """The name of the distribution that a requirement asks for."""
    return re.match(r"[\w.-]*\w", requirement)[0].lower()


def build_wheel(version, folder):
    """The wheel, opened: hatchling's `standard` one, or the `editable` one that leaves the package where it is."""
    pytest.importorskip("hatchling", reason="needs hatchling: pip install hatchling")
    command = [sys.executable, "-m", "hatchling", "build", "--target", f"wheel:{version}", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=PATIENCE)
    (file,) = folder.iterdir()
    return zipfile.ZipFile(file)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    with build_wheel("standard", tmp_path_factory.mktemp("dist")) as wheel:
        yield wheel


def test_distribution_is_called_otherwise_than_the_package_and_its_version_stands_once(wheel):
    stem = f"darknet_classifier-{darknet_py.__version__}"
    assert wheel.filename.endswith(f"/{stem}-py3-none-any.whl")
    metadata = email.message_from_bytes(wheel.read(f"{stem}.dist-info/METADATA"))
    assert (metadata["Name"], metadata["Version"]) == ("darknet-classifier", darknet_py.__version__)
    assert "version" not in PROJECT
    assert b"darknet = darknet_py.__main__:main" in wheel.read(f"{stem}.dist-info/entry_points.txt")


def test_extras_of_extras_are_its_own():
    """What pip takes from its index under that name is this project, and no other."""
    needed = {distribution(one) for extra in PROJECT["optional-dependencies"].values() for one in extra}
    assert "darknet-classifier" in needed
    assert not {name for name in needed if name.startswith("darknet")} - {"darknet-classifier"}


def test_hints_name_packages_that_are_taken():
    needed = {distribution(one) for extra in PROJECT["optional-dependencies"].values() for one in extra}
    needed |= {*map(distribution, PROJECT["dependencies"]), "opencv-python-headless"}  # the same without windows
    sources = [source.read_text() for source in (ROOT / "darknet_py").rglob("*.py")]
    hints = [hint for source in sources for hint in re.findall(r"pip install ([^,;\"'\n]+)", source)]
    named = {distribution(word) for hint in hints for word in hint.split()}
    assert {"onnx", "distributed", "cupy-cuda12x", "nvidia-cuda-nvrtc-cu12"} <= named
    assert named <= needed


def test_wheel_holds_networks_names_and_the_mark_of_types(wheel):
    held = set(wheel.namelist())
    assert "darknet_py/py.typed" in held
    for folder in ("cfg", "data"):
        assert {f"darknet_py/share/{folder}/{file.name}" for file in (ROOT / folder).iterdir()} <= held
    assert {name.split("/")[0].split("-")[0] for name in held} == {"darknet_py", "darknet_classifier"}


def test_an_editable_install_copies_nothing(tmp_path):
    """Copies would not be edited, and pip leaves folders that hold only folders when it uninstalls."""
    with build_wheel("editable", tmp_path) as editable:
        (path,) = (name for name in editable.namelist() if ".dist-info/" not in name)
        assert path.endswith(".pth")
        assert editable.read(path).decode().split() == [str(ROOT)]


def test_wheel_runs_by_itself(wheel, tmp_path, cache):
    wheel.extractall(tmp_path / "site")
    env = environment(cache, PYTHONPATH=str(tmp_path / "site"))
    command = [sys.executable, "-m", "darknet_py", "classify", "shapes", "star.png", "--engine", "reference"]
    ran = subprocess.run(command, cwd=tmp_path, env=env, check=True, capture_output=True, text=True, timeout=PATIENCE)
    assert ran.stdout.splitlines()[2].startswith("star: 0.")


@pytest.mark.parametrize("module", ["darknet_py", "darknet_py.classifier"])
def test_examples_are_true(module, tmp_path, monkeypatch):
    """In any working folder."""
    monkeypatch.chdir(tmp_path)
    failed, tried = doctest.testmod(importlib.import_module(module))
    assert failed == 0
    assert tried >= 2


def test_all_examples_are_tried():
    with_examples = {file.stem for file in (ROOT / "darknet_py").rglob("*.py") if ">>> " in file.read_text()}
    assert with_examples == {"__init__", "classifier"}


def test_public_names_alone_are_listed_and_all_can_be_had():
    """In a fresh process, where nothing has been imported yet."""
    listed = "import darknet_py; names = [name for name in dir(darknet_py) if name[0] != '_'];"
    script = f"{listed} from darknet_py import *; print(*names); print(*(n for n in globals() if n in names))"
    command = [sys.executable, "-c", script]
    ran = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=PATIENCE)
    names, had = (line.split() for line in ran.stdout.splitlines())
    assert names == sorted(darknet_py.__all__)
    assert sorted(had) == names
    assert set(darknet_py._LAZY) <= set(names)
    assert "__version__" in dir(darknet_py)
