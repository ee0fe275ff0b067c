"""What plan and speed print about a network on the CPU."""

from __future__ import annotations

import os
import time
from types import SimpleNamespace

import numpy as np
import pytest
from support import cfg_text, make_network

from darknet_py.cli import main
from darknet_py.engines import compile_training
from darknet_py.engines.cpu import builder, inspect
from darknet_py.engines.cpu.builder import Table, share_time
from darknet_py.engines.cpu.inspect import _Product, plan_layers, plan_memory
from darknet_py.engines.cpu.team import Team
from darknet_py.engines.cpu.training.inspect import plan_training
from darknet_py.network import load_structure
from darknet_py.parameters import Parameters

NO_MACHINE = 1e13  # floating-point operations a second on a core, more than any machine does


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


def test_whole_plan_names_all_others_on_lines_of_their_own(tell):
    short, long = tell("plan", "extraction"), tell("plan", "extraction", "--all")
    layers = [line.split()[0] for line in long if line.split()[0].isdigit()]
    assert layers == [line.split()[0] for line in short if line.split()[0].isdigit()]
    assert len(long) > 3 * len(short)
    assert max(map(len, long)) <= 200
    assert any("strassen_1x1: needs a 1 x 1 window" in line for line in long)


@pytest.mark.parametrize("name", ["tiny", "resnet18", "alexnet"])
def test_plan_tells_how_a_network_is_trained_in_lines_that_can_be_read(tell, name):
    lines = tell("plan", "--train", name, "--batch", "2")
    assert max(map(len, lines)) <= 120
    layers = [line.split() for line in lines if line.split()[0].isdigit()]
    assert [int(layer[0]) for layer in layers] == list(range(len(layers)))
    for layer in layers:
        if layer[1] in ("convolutional", "connected"):
            assert ":" in layer[3]
            assert (layer[4] == "-") == (layer[0] == "0")  # nobody wants the delta of the pictures
            assert layer[5].startswith("sum_")
        assert float(layer[6]) >= 0
    start = next(number for number, line in enumerate(lines) if line.startswith("at the most"))
    (*parts, peak) = [float(line.split()[-1]) for line in lines[start + 1 : -1]]
    assert sum(parts) == pytest.approx(peak, abs=0.05)


def test_the_memory_of_training_grows_with_the_batch_and_is_what_the_plan_takes():
    layers = load_structure("cfg/tiny.cfg").layers
    peaks = [plan_training(layers, batch)[1] for batch in (2, 4)]
    parameters = Parameters.zeros(layers)
    assert peaks[1].peak == compile_training("cpu", layers, parameters, 4).memory + parameters.values.nbytes
    assert peaks[1].outputs == pytest.approx(2 * peaks[0].outputs, rel=0.05)
    assert peaks[1].rest < 0.2 * peaks[1].peak


def test_plan_says_why_a_layer_is_trained_by_its_definition(tell, tmp_path):
    text = cfg_text([("net", {"batch": 4, "channels": 3, "height": 8, "width": 8}), ("normalization", {})])
    text += cfg_text([("connected", {"output": 3}), ("softmax", {})])
    (tmp_path / "x.cfg").write_text(text)
    lines = tell("plan", "--train", str(tmp_path / "x.cfg"))
    assert lines[0].endswith("definition: why")
    assert lines[1].split()[3] == "definition"
    assert lines[1].endswith("[normalization] has no kernel in training")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--batch", "2"], "--batch: is for --train alone"),
        (["--train", "--all"], "--train: training is in float32, and has no next best"),
        (["--train", "--precision", "bfloat16"], "--train: training is in float32, and has no next best"),
    ],
)
def test_what_does_not_go_together(capsys, options, message):
    assert main(["plan", "tiny", *options]) == 2
    assert capsys.readouterr().err == f"darknet: {message}\n"


def test_speed_tells_no_rate_beyond_the_machine(tell):
    lines = tell("speed", "shapes", "--threads", "2")
    (_, *layers, (whole, milliseconds, rate)) = [line.split() for line in lines]
    assert whole == "all"
    assert float(milliseconds) > 0
    assert float(rate) * 1e9 < NO_MACHINE
    convolutions = [layer for layer in layers if layer[1] == "convolutional"]
    assert len(convolutions) == 11
    assert all(float(layer[5]) * 1e9 < NO_MACHINE for layer in convolutions)


def test_speed_tells_the_time_of_each_layer_whatever_runs_it(tell, tmp_path):
    """Compiled code, definitions, an activation alone, or copies."""
    dilated = {"filters": 64, "size": 3, "pad": 1, "dilation": 2, "activation": "leaky"}
    sections = [
        ("upsample", {"stride": 2}),
        ("convolutional", dilated),
        ("route", {"layers": "-1,-1"}),
        ("convolutional", {"filters": 6, "activation": "stair"}),
        ("avgpool", {}),
        ("softmax", {}),
    ]
    (tmp_path / "x.cfg").write_text(cfg_text([("net", {"channels": 3, "height": 48, "width": 48}), *sections]))
    (_, *rows, whole) = [line.split() for line in tell("speed", str(tmp_path / "x.cfg"))]
    assert [row[0] for row in rows] == ["0", "1", "2", "3", "4", "5"]
    assert [row[3].partition(":")[0] for row in rows] == (
        ["definition", "definition", "copy", "gemm_1x1", "avgpool", "softmax"]
    )
    assert sum(float(row[4]) for row in rows) > float(whole[1]) / 2


def clock_that_stands(monkeypatch, calls):
    """Let the first `calls` of the clock return the same time."""
    told = []

    def tell_time():
        told.append(time.perf_counter() if len(told) >= calls else 0.0)
        return told[-1]

    for module in (builder, inspect):
        monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=tell_time))


def test_speed_refuses_what_a_clock_that_stands_tells(tell, monkeypatch):
    clock_that_stands(monkeypatch, 10**9)
    (_, *layers, whole, why) = tell("speed", "shapes")
    assert [line.split()[4:] for line in layers] == [["-"] * (3 if "conv" in line else 1) for line in layers]
    assert whole.split() == ["all", "-", "-"]
    assert why == "-: twice measured in less time than this processor takes, by a clock that jumps or is too coarse"


def test_speed_measures_again_where_the_clock_stood(tell, monkeypatch):
    clock_that_stands(monkeypatch, 10)
    lines = tell("speed", "shapes")
    assert lines[-1].startswith("all")
    assert not any("-" in line.split() for line in lines)


@pytest.mark.parametrize("product", [False, True])
def test_an_operation_that_a_jump_makes_too_short_is_refused(tell, monkeypatch, product):
    """And where all of the micro-kernel's own are refused, rates are judged by one that no processor reaches."""
    measure = Table.measure

    def measure_with_a_jump(table, team):
        is_product = table.layers == list(range(_Product.times))
        return [
            (layer, took / 1e4 if layer == 5 and is_product <= product else took)
            for layer, took in measure(table, team)
        ]

    monkeypatch.setattr(Table, "measure", measure_with_a_jump)
    rows = [line.split() for line in tell("speed", "shapes")]
    assert [row[0] for row in rows if "-" in row[4:6]] == ["5"]
    assert next(row for row in rows if row[0] == "5")[4:] == ["-", "-", "-"]
    assert all((row[6:] == ["-"]) == product for row in rows[1:] if row[1] == "convolutional" and row[0] != "5")
    assert rows[-1][0] == "-:"


def test_pictures_that_are_halved_as_they_are_stored_take_no_whole_buffer():
    convolution = {"filters": 32, "size": 3, "pad": 1, "activation": "leaky"}
    pool = ("maxpool", {"size": 2, "stride": 2})
    one = make_network((3, 20, 20), ("convolutional", convolution), pool)
    assert plan_memory(one.layers)[0] == [4 * 32 * 10 * 10]
    first, second = plan_layers(one.layers)
    assert second.implementation == ""
    assert (first.bytes, second.bytes) == (4 * (3 * 400 + 32 * 100 + first.layer.parameter_count), 0)
    apart = make_network((32, 20, 20), ("convolutional", {**convolution, "size": 1, "pad": 0}), pool)
    assert plan_layers(apart.layers)[1].implementation.startswith("maxpool")


def test_pictures_smaller_than_a_tile_choose_no_large_tiles():
    """Larger tiles err more: F(6, 3) by 8e-6 of the outputs, F(4, 3) by 1.3e-6."""
    convolution = ("convolutional", {"filters": 2, "size": 3, "pad": 1, "activation": "leaky"})
    chosen = [plan_layers(make_network((80, 3, side), convolution).layers)[0].implementation for side in (3, 4, 5)]
    assert not [name for name in chosen if name.startswith("wino_6x6")]


def test_the_operations_of_a_mean_that_comes_first_are_those_of_one_cell(tell, monkeypatch):
    rows = [line.split() for line in tell("plan", "tiny")]
    assert [row[2] for row in rows if row[0] in ("19", "20")] == ["1000x1x1", "128x1x1"]
    forecasts = plan_layers(load_structure("cfg/tiny.cfg").layers)
    assert forecasts[19].layer.operations == 2 * 128 * 1000
    times = dict.fromkeys(range(len(forecasts)), 1e-4)
    monkeypatch.setattr(inspect, "measure_layers", lambda *_: inspect.Measured(times, 1e-3, 1e12))
    (whole,) = (line.split() for line in tell("speed", "tiny") if line.startswith("all"))
    assert float(whole[2]) == pytest.approx(sum(forecast.layer.operations for forecast in forecasts) / 1e6, abs=1)


def test_of_what_an_algorithm_cannot_do_without_is_less_where_it_spares_products():
    shares = {
        forecast.implementation.partition(":")[0]: forecast.least / forecast.layer.operations
        for name in ("tiny", "extraction")
        for forecast in plan_layers(load_structure(f"cfg/{name}.cfg").layers)
        if forecast.layer.operations
    }
    expected = {
        "gemm_1x1": 1,
        "strassen_1x1": 7 / 8,
        "wino_4x4_3x3": 6**2 / (4 * 3) ** 2,
        "wino_6x6_3x3": 8**2 / (6 * 3) ** 2,
        "phases_wino_5x5_4x4": (8 * 2) ** 2 / (5 * 7) ** 2,  # phases of 4 x 4, some of whose taps are zeros
    }
    assert {name: share for name, share in shares.items() if name in expected} == pytest.approx(
        {name: share for name, share in expected.items() if name in shares}
    )
    assert "gemm_1x1" in shares


def test_an_operation_ends_with_the_last_thread_and_begins_where_the_last_ended():
    """Thread 0 slept at the second barrier, while thread 1 did all of the third operation."""
    clock = np.array([[100, 200, 290, 600, 700], [150, 220, 300, 390, 690]])
    np.testing.assert_allclose(share_time(clock), np.array([120, 80, 300, 100]) / 600)


def test_shares_of_no_operation_are_none():
    assert share_time(np.array([[100]])).tolist() == []


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="threads cannot be put on a core here")
def test_no_operation_seems_faster_than_it_is_where_threads_wait_for_a_core():
    cores = os.sched_getaffinity(0)
    product = _Product(1)
    product.team = Team(2)
    os.sched_setaffinity(0, {min(cores)})
    try:
        rates = [product.measure() for _ in range(20)]
    finally:
        os.sched_setaffinity(0, cores)
    assert max(rates) < NO_MACHINE
