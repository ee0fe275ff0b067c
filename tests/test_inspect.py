"""What plan and speed tell of a network on the CPU."""

from __future__ import annotations

import pytest

from darknet_py.cli import main


@pytest.fixture
def tell(capsys):
    """The lines that a command prints."""

    def tell(*arguments):
        assert main(list(arguments)) == 0
        return capsys.readouterr().out.splitlines()

    return tell


@pytest.mark.parametrize("name", ["extraction", "resnext50", "vgg-16"])
def test_plan_names_the_next_best_in_lines_that_can_be_read(tell, name):
    lines = tell("plan", name)
    assert max(map(len, lines)) <= 120
    assert "next best" in lines[0]
    assert any(line.endswith(" x") for line in lines)


def test_verbose_plan_names_all_others_on_lines_of_their_own(tell):
    short, long = tell("plan", "extraction"), tell("plan", "extraction", "--verbose")
    layers = [line.split()[0] for line in long if line.split()[0].isdigit()]
    assert layers == [line.split()[0] for line in short if line.split()[0].isdigit()]
    assert len(long) > 3 * len(short)
    assert max(map(len, long)) <= 200
    assert any("strassen_1x1: needs a 1 x 1 kernel" in line for line in long)
