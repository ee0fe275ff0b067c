"""darknet completion: what a shell is told of commands, options, choices, networks and files."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from darknet_py.cli import COMMANDS, main
from darknet_py.commands.completion import SHELLS
from darknet_py.networks import packaged_names

# Prints what the shell would offer for the last of the words given.
ASK = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _shtab_darknet; printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def script(capsys):
    """What is printed for a shell."""
    pytest.importorskip("shtab", reason="needs shtab: pip install shtab")

    def script(shell):
        assert main(["completion", shell]) == 0
        out, err = capsys.readouterr()
        assert err == ""
        return out

    return script


@pytest.fixture
def offers(script, tmp_path):
    """What bash offers for the last word of a command line, in a folder with a picture in it."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash")
    (tmp_path / "script").write_text(script("bash"))
    (tmp_path / "shape.png").touch()

    def offers(*words):
        command = [bash, "--norc", "-c", ASK, "bash", "./script", "darknet", *words]
        ran = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
        assert ran.stderr == ""
        return set(ran.stdout.split())

    return offers


def test_bash_is_offered_commands_options_and_what_they_take(offers):
    assert offers("") == {name.split()[0] for name in COMMANDS}
    assert offers("classifier", "valid") == {"valid", "validfull", "valid10", "validmulti", "validcrop"}
    assert offers("classifier", "predict", "--pre") == {"--preprocess", "--precision"}
    assert offers("classifier", "predict", "--engine", "c") == {"cpu", "cuda"}
    assert offers("cache", "--clear", "k") == {"kernels"}
    assert "--quiet" in offers("speed", "--")


def test_bash_is_offered_networks_and_files(offers):
    assert offers("classifier", "predict", "shap") == {"shapes", "shape.png"}
    assert offers("ops", "") >= set(packaged_names())
    assert offers("classifier", "predict", "shapes", "sha") == {"shapes", "shape.png"}
    assert offers("classifier", "valid", "--save", "sha") == {"shape.png"}


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shells_script_names_all_commands_and_networks_and_can_be_read(script, shell):
    text = script(shell)
    assert all(name.split()[-1] in text for name in COMMANDS)
    assert all(name in text for name in packaged_names())
    if program := shutil.which(shell):
        subprocess.run([program, "-n"], input=text, check=True, text=True)


def test_fish_is_told_no_flag_of_one_dash_and_several_letters(script):
    """It would refuse the whole line."""
    flags = [line.split(" -s ")[1].split()[0] for line in script("fish").splitlines() if " -s " in line]
    assert "q" in flags
    assert {len(flag) for flag in flags} == {1}


def test_without_shtab_one_line_says_what_to_install(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["completion", "bash"]) == 1
    assert capsys.readouterr() == ("", "darknet: shtab: is not installed: pip install shtab\n")
