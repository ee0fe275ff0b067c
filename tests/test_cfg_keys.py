"""Keys of a section: which are read, which are refused, and which are ignored with a warning."""

from __future__ import annotations

import re
import time
import warnings

import numpy as np
import pytest
from support import cfg_text, random_array, random_parameters, run_engine

from darknet_py import remarks
from darknet_py.cfg import choice, flag, integer, number, parse_cfg, text
from darknet_py.errors import CfgError, DarknetWarning
from darknet_py.network import Network

OPTIONS = {"size": integer(1), "stride": integer(1), "note": number(0.5, matters=False)}
IGNORED = ("momentum", "steps")
UNSUPPORTED = {
    "dilation": integer(1),
    "cbn": flag(),
    "weights_type": text("none"),
    "tree": text(),
    "stride_x": integer(follows="stride"),
    "stride_y": integer(follows="stride"),
}


def read(lines):
    """The values of a section with these lines, and the warnings of reading it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        (section,) = parse_cfg(f"[layer]\n{lines}", "x.cfg")
        values = section.read(OPTIONS, IGNORED, UNSUPPORTED)
        section.remarks.close()
    assert all(warning.category is DarknetWarning for warning in caught)
    return values, [str(warning.message) for warning in caught]


def refused(lines):
    """The message of the error that a section with these lines gives."""
    (section,) = parse_cfg(f"[layer]\n{lines}", "x.cfg")
    with pytest.raises(CfgError) as error:
        section.read(OPTIONS, IGNORED, UNSUPPORTED)
    return str(error.value)


# Keys that may be misspelled options that matter


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("sizze=3", "x.cfg:2: [layer] sizze=3: unknown option; did you mean size?"),
        ("dilatoin=2", "x.cfg:2: [layer] dilatoin=2: unknown option; did you mean dilation?"),
        ("stride_X=2", "x.cfg:2: [layer] stride_X=2: unknown option; did you mean stride_x?"),
        ("SIZE=2", "x.cfg:2: [layer] SIZE=2: unknown option; did you mean size?"),
        ("size", "x.cfg:2: size: key=value is expected"),
        ("size 3", "x.cfg:2: size 3: key=value is expected"),
        (" size3", "x.cfg:2: size3: key=value is expected"),
        ("size: 3 # three", "x.cfg:2: size: 3 # three: key=value is expected"),
        ("strid 2", "x.cfg:2: strid 2: key=value is expected"),
        ("dilation", "x.cfg:2: dilation: key=value is expected"),
        ("size=", "x.cfg:2: size=: a key or a value is missing"),
        ("size = # 3", "x.cfg:2: size = # 3: a key or a value is missing"),
    ],
)
def test_what_may_be_meant_as_an_option_that_matters_is_refused(line, message):
    assert refused(line) == message


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("qqq=3", "[layer] qqq=3: unknown option, ignored"),
        ("momentun=.9", "[layer] momentun=.9: unknown option, ignored; did you mean momentum?"),
        ("notes=.9", "[layer] notes=.9: unknown option, ignored; did you mean note?"),
        ("note=x", "[layer] note=x: not a number; ignored"),
        ("steps=", "steps=: a key or a value is missing; ignored"),
        ("steps 1,2", "steps 1,2: key=value is expected; ignored"),
        ("note", "note: key=value is expected; ignored"),
        ("1", "1: key=value is expected; ignored"),
        (": 1", ": 1: key=value is expected; ignored"),
        ("<<<<<<< HEAD", "<<<<<<< HEAD: key=value is expected; ignored"),
    ],
)
def test_what_else_is_unknown_or_has_no_value_is_told_and_passed_over(line, message):
    assert read(line) == ({"size": 1, "stride": 1, "note": 0.5}, [f"x.cfg:2: {message}"])


def test_ignored_keys_are_passed_over_without_a_word():
    assert read("momentum=x\nsteps=1\n")[1] == []


@pytest.mark.parametrize("name", ["subdivisiions=1", "learning_rate_min=", "learning_rate_min=1e-7", "steps=", "x"])
def test_no_key_of_training_is_refused(name):
    lines = f"[net]\nheight=8\nwidth=8\nchannels=3\n{name}\n[softmax]\n{name}\n"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DarknetWarning)
        assert Network(parse_cfg(lines, "x.cfg"), "x.cfg").outputs == 192


# Keys that would change the answer in a way that is not supported


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("dilation=2", "dilation=1"),
        ("cbn=1", "cbn=0"),
        ("weights_type=per_channel", "weights_type=none"),
        ("tree=x.tree", "a network without it"),
        ("stride_x=2", "stride_x=1"),
        ("stride=2\nstride_x=1", "stride_x=2"),
    ],
)
def test_what_changes_the_answer_and_is_not_supported_is_refused(line, expected):
    number, last = line.count("\n") + 2, line.split("\n")[-1]
    reason = f"not supported, and it changes the answer; {expected} is expected"
    assert refused(line) == f"x.cfg:{number}: [layer] {last}: {reason}"


@pytest.mark.parametrize("line", ["dilation=1", "cbn=0", "weights_type=none", "stride_x=1", "stride=2\nstride_x=2"])
def test_where_it_is_off_it_is_taken(line):
    assert read(line)[1] == []


# Keys that change what a layer computes and are not supported, each with a value that does
CHANGING = {"maxpool": "maxpool_zero_nonmax=1", "reorg": "flatten=1 extra=1", "softmax": "spatial=1"}
OFF = {
    "convolutional": "dilation=1 antialiasing=0 cbn=0 coordconv=0 stride_x=1 stride_y=1 xnor=0 binary=0 flipped=0",
    "maxpool": "maxpool_depth=0 out_channels=1 antialiasing=0 stride_x=1 stride_y=1",
    "shortcut": "weights_type=none weights_normalization=none",
    "route": "groups=1 group_id=0",
    "softmax": "spatial=0",
}
NEEDED = {"shortcut": {"from": -1}, "route": {"layers": -1}}
IDLE = {
    "convolutional": "batch_normalize=2 sway=1 rotate=1 stretch=1 stretch_sway=1 angle=9 grad_centr=1 reverse=1 dot=1"
    " assisted_excitation=9 bin_output=1 stream=1 wait_stream=1 coordconv=1",
    "dropout": "dropblock=1 dropblock_size_abs=7 dropblock_size_rel=.1",
    "avgpool": "dont_update=1 burnin_update=1 train_only_bn=1 onlyforward=1",
}


def network(kind, option):
    """A network whose second layer is of this `kind` with `option`."""
    sections = [
        ("net", {"height": 8, "width": 8, "channels": 3}),
        ("conv", {"filters": 3}),
        (kind, NEEDED.get(kind, {})),
    ]
    return Network(parse_cfg(f"{cfg_text(sections)}{option}\n", "x.cfg"), "x.cfg")


def pairs(table):
    return [(kind, option) for kind, options in table.items() for option in options.split()]


@pytest.mark.parametrize(("kind", "option"), pairs(CHANGING))
def test_options_of_the_fork_that_change_the_answer_are_errors(kind, option):
    with pytest.raises(CfgError, match=re.escape(f"[{kind}] {option}: not supported, and it changes the answer")):
        network(kind, option)


@pytest.mark.parametrize(("kind", "option"), pairs(OFF) + pairs(IDLE))
def test_options_of_the_fork_that_are_off_or_idle_are_taken_without_a_word(kind, option):
    assert network(kind, option).layers[1].kind == kind


# Keys that only training reads


TRAINING = {**OPTIONS, "rate": number(1, least=0), "way": choice(("up", "down"), "up"), "stride_x": integer(3)}
UNTRAINED = {"truth": flag(), "shift": number(0)}


def trained(lines):
    """The values of training's options of a section with these lines, and what is refused in training."""
    (section,) = parse_cfg(f"[layer]\n{lines}", "x.cfg")
    values = section.read_quietly(TRAINING)
    try:
        section.check_training(TRAINING, IGNORED, UNTRAINED)
    except CfgError as error:
        return values, str(error)
    return values, ""


DEFAULTS = {"size": 1, "stride": 1, "note": 0.5, "rate": 1, "way": "up", "stride_x": 3}


def test_options_of_training_are_read():
    lines = "rate=.5\nway=down\nnote=2\ntruth=0\nshift=0\nmomentum=x\nqqq=1\nrrr 7\n"
    assert trained(lines) == ({**DEFAULTS, "rate": 0.5, "way": "down", "note": 2}, "")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("rate=x", "rate=x: not a number"),
        ("rate=-1", "rate=-1: at least 0 is expected"),
        ("way=dwn", "way=dwn: unknown; did you mean down?"),
        ("note=x", "note=x: not a number"),
        ("rat=1", "rat=1: unknown option; did you mean rate?"),
        ("truths=1", "truths=1: unknown option; did you mean truth?"),
        ("rate", "rate: key=value is expected"),
        ("truth", "truth: key=value is expected"),
        ("truth=1", "truth=1: not supported in training; truth=0 is expected"),
        ("shift=.5", "shift=.5: not supported in training; shift=0 is expected"),
        ("shift=x", "shift=x: not a number"),
    ],
)
def test_what_is_wrong_for_training_counts_as_absent_and_is_refused_there(line, message):
    assert trained(line) == (DEFAULTS, f"x.cfg:2: [layer] {message}")


# Numbers beyond C's int, or beyond any picture


@pytest.mark.parametrize(
    ("kind", "option", "reason"),
    [
        ("convolutional", "stride=999999999999999999", "too large; integers end at 2147483647"),
        ("convolutional", "stride=2147483648", "too large; integers end at 2147483647"),
        ("convolutional", "size=2147483647", "at most 65536 is expected"),
        ("convolutional", "padding=2147483647", "at most 65536 is expected"),
        ("maxpool", "stride=65537", "at most 65536 is expected"),
        ("maxpool", "size=65537", "at most 65536 is expected"),
        ("connected", "output=2147483648", "too large; integers end at 2147483647"),
        ("softmax", "groups=2147483648", "too large; integers end at 2147483647"),
    ],
)
def test_numbers_end_where_the_arithmetic_does(kind, option, reason):
    with pytest.raises(CfgError, match=re.escape(f"[{kind}] {option}: {reason}")):
        network(kind, option)


@pytest.mark.parametrize("engine", ["reference", "cpu"])
@pytest.mark.parametrize(
    ("kind", "option"), [("convolutional", "stride=2147483647"), ("maxpool", "size=2\nstride=65536")]
)
def test_the_largest_stride_takes_the_first_window(engine, kind, option):
    layers = network(kind, option).layers
    assert layers[1].shape[1:] == (1, 1)
    batch = random_array((1, 3, 8, 8))
    parameters = random_parameters(layers)
    (first,) = run_engine(engine, layers, parameters, batch)
    (expected,) = run_engine(engine, layers[:1], parameters.first(1), batch)
    expected = expected.reshape(3, 8, 8)
    if kind == "maxpool":
        assert first.ravel() == pytest.approx(expected[:, :2, :2].max(axis=(1, 2)), rel=1e-5)
    else:
        assert first.size == 1
        assert np.isfinite(first).all()


# Many of them


@pytest.mark.parametrize(
    "line",
    ["key{}=1\n", "line {}\n", "1\n", "size=1\n", "steps=\n"],
    ids=["keys", "strays", "same", "repeated", "empty"],
)
def test_of_many_the_first_are_told_and_the_others_counted(line):
    count = 100_000
    start = time.monotonic()
    values, told = read("size=1\n" + "".join(line.format(index) for index in range(count)))
    assert time.monotonic() - start < 20
    assert values["size"] == 1
    assert len(told) == remarks.MAX_REMARKS + 1
    assert told[-1] == f"x.cfg: and {count - remarks.MAX_REMARKS} more like these"


@pytest.mark.filterwarnings("ignore::darknet_py.errors.DarknetWarning")
def test_a_misspelling_is_found_among_many_unknown_keys():
    assert refused("".join(f"key{index}=1\n" for index in range(900)) + "sizze=3\n").endswith("did you mean size?")


def test_remarks_are_counted_for_a_file_and_not_for_a_section(recwarn):
    net = "[net]\nheight=8\nwidth=8\nchannels=3\nqqq=1\n"
    Network(parse_cfg(net + "[softmax]\nqqq=1\n" * 30, "x.cfg"), "x.cfg")
    told = [str(warning.message) for warning in recwarn]
    assert len(told) == 11
    assert told[-1] == "x.cfg: and 21 more like these"


def test_what_is_odd_is_told_once_of_sections_of_which_several_networks_are_made():
    net = {"width": 8, "height": 8, "channels": 3, **{f"odd{n}": 1 for n in range(12)}}
    sections = parse_cfg(cfg_text([("net", net), ("softmax", {})]), "x.cfg")
    with pytest.warns(DarknetWarning) as told:
        Network(sections, "x.cfg")
    assert len(told) == 11
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Network(sections, "x.cfg")
