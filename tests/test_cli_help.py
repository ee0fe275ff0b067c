"""What the program says about itself, and to unknown words: help, other commands, other flags, similar names."""

from __future__ import annotations

import pytest
from support_cli import environment, run

from darknet_py.cli import COMMANDS
from darknet_py.foreign import COMMANDS as OTHERS
from darknet_py.foreign import FLAGS

USAGE = 2


def test_summaries_are_sentences_that_stand_alone():
    for command in COMMANDS.values():
        assert command.summary[0].isupper()
        assert command.summary.endswith(".")
        assert "the same" not in command.summary


@pytest.mark.parametrize("name", COMMANDS)
def test_help_says_the_summary_as_it_is_and_the_options_of_every_command(darknet, name):
    code, out, err = darknet(*name.split(), "--help")
    assert (code, err) == (0, "")
    assert COMMANDS[name].summary in " ".join(out.split())
    assert all(words in out for words in ("-q, --quiet", "-v, --verbose", "-V, --version"))
    assert darknet("-nogpu", *name.split(), "--help") == (code, out, err)


@pytest.mark.parametrize("word", ["--help", "-h", "help"])
def test_help_of_a_group_lists_its_commands(darknet, word):
    code, out, err = darknet("classifier", word)
    listed = [line.split("  ")[1] for line in out.splitlines() if line.startswith("  ")]
    assert (code, err) == (0, "")
    assert listed == [name for name in COMMANDS if name.startswith("classifier ")]


def test_a_group_alone_names_its_commands(darknet):
    code, out, err = darknet("classifier")
    assert (code, out) == (USAGE, "")
    assert all(name.partition(" ")[2] in err for name in COMMANDS if name.startswith("classifier "))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "a command is missing"),
        (("-q",), "a command is missing"),
        (("xyzzy",), "xyzzy: unknown command"),
        (("--verion",), "--verion: unknown option"),
    ],
)
def test_what_is_no_command_is_answered_in_a_short_line(darknet, words, says):
    assert darknet(*words) == (USAGE, "", f"darknet: {says}; see darknet --help\n")


def test_nothing_is_taken_from_darknet_that_is_here():
    assert not OTHERS & COMMANDS.keys()


@pytest.mark.parametrize("name", sorted(OTHERS))
def test_other_commands_of_darknet_are_known_as_such(darknet, name):
    says = "a command of darknet that this program does not have; it classifies images"
    code, out, err = darknet(*name.split(), "x.cfg", "-thresh", "0.1")
    assert (code, out) == (USAGE, "")
    assert err.startswith(
        f"darknet: {name}: {says}: see darknet {'classifier ' * name.startswith('classifier ')}--help"
    )


@pytest.mark.parametrize("name", ["predict", "train", "valid", "csv", "test", "try"])
def test_commands_of_a_group_are_known_without_its_name(darknet, name):
    says = f"{name}: unknown command; did you mean classifier {name}?"
    assert darknet(name, "x.cfg", "x.weights") == (USAGE, "", f"darknet: {says}\n")


@pytest.mark.parametrize("flag", FLAGS)
def test_other_flags_of_darknet_are_named_and_not_taken_for_short_ones(darknet, flag):
    for words in (("ops", "shapes", f"-{flag}", "0.1"), (f"-{flag}", "0.1", "ops", "shapes")):
        assert darknet(*words) == (USAGE, "", f"darknet: -{flag}: {FLAGS[flag]}\n")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("-threads", "2"), "-threads: unknown option; did you mean --threads?"),
        (("-top=2",), "-top: unknown option; did you mean --top?"),
        (("-thing",), "-thing: unknown option; see darknet classify --help"),
        (("-x",), "-x: unknown option; see darknet classify --help"),
        (("-nogpus",), "-nogpus: unknown option; did you mean -nogpu?"),
        (("--tops=2",), "--tops: unknown option; did you mean --top?"),
        (("--thresh", "1"), f"--thresh: {FLAGS['thresh']}"),
        (("--t", "1"), "--t: unknown option; did you mean -t?"),
    ],
)
def test_flags_of_nobody_are_named(darknet, words, says):
    assert darknet("classify", "shapes", *words) == (USAGE, "", f"darknet: {says}\n")


@pytest.mark.parametrize("words", [("-t2",), ("-t=2",), ("-t", "2"), ("--", "-thresh")])
def test_short_flags_may_hold_their_value_and_files_any_name(tmp_path, cache, words):
    answer = run(
        "classify", "shapes", "star.png", "--engine", "reference", *words, cwd=tmp_path, env=environment(cache)
    )
    assert answer.out.startswith("85 64\nstar.png: Predicted in ")
    assert answer.complaints == (["-thresh: no such file"] if "--" in words else [])
    assert len(answer.out.splitlines()) == (5 if "--" in words else 4)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("classify", "tinny", "star.png"), "tinny: no such file; did you mean tiny?"),
        (("classify", "tinny"), "tinny: no such file; did you mean tiny?"),
        (("ops", "cfg/extration.cfg"), "cfg/extration.cfg: no such file; did you mean cfg/extraction.cfg?"),
        (("speed", "resnet5"), "resnet5: no such file; did you mean resnet50?"),
        (("ops", "tiny.weights"), "tiny.weights: no such file"),
        (("ops", "/nowhere/tinny"), "/nowhere/tinny: no such file"),
    ],
)
def test_networks_that_are_nearly_named_are_guessed(darknet, words, says):
    assert darknet(*words) == (1, "", f"darknet: {says}\n")
