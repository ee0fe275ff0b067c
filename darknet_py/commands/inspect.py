"""How networks run on the CPU: plan, speed; and warmup, which compiles ahead."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ..engines import CPU_PRECISIONS
from ..errors import UsageError
from ..networks import find_cfg
from ..report import print_line, print_table
from .model import add_cfg, add_dialect, add_precision, positive

if TYPE_CHECKING:
    from ..network import Network


def add_plan(parser: argparse.ArgumentParser) -> None:
    """The options of ``plan``."""
    add_cfg(parser)
    add_precision(parser, CPU_PRECISIONS)
    parser.add_argument("--all", action="store_true", help="all other implementations, and why they are not used")
    parser.add_argument("--train", action="store_true", help="how each layer would be trained, and in how much memory")
    parser.add_argument(
        "--batch", type=positive, metavar="N", help="with --train: pictures at a time (default: the cfg's)"
    )
    add_dialect(parser)


def run_plan(args: argparse.Namespace) -> int:
    """Print each layer's implementation and its alternatives, then the buffers, then the arithmetic."""
    from ..network import load_structure
    from ..weights import choose_dialect

    if args.batch and not args.train:
        raise UsageError("is for --train alone", option="--batch")
    if args.train and (args.all or args.precision != "float32"):
        raise UsageError("training is in float32, and has no next best", option="--train")
    network = load_structure(find_cfg(args.cfg), choose_dialect(args.dialect, None))
    if args.train:
        _print_training(network, args.batch)
    else:
        _print_layers(network, args)
    print_line(network.dialect.summary)
    return 0


def _print_training(network: Network, batch: int | None) -> None:
    from ..engines.cpu.training.inspect import plan_training
    from ..training.options import TrainingOptions

    forecasts, memory = plan_training(network.layers, batch or TrainingOptions.of(network).pass_size)
    rows = []
    for forecast in forecasts:
        layer, steps = forecast.layer, (forecast.forward, forecast.backward_data, forecast.backward_weights)
        shape, kept = "x".join(map(str, layer.shape)), f"{forecast.kept / 1e6:.2f}"
        rows.append([str(layer.index), layer.kind, shape, *(step or "-" for step in steps), kept])
    header = ["layer", "kind", "output", "forward", "backward data", "backward weights", "MB kept"]
    if any(forecast.reason for forecast in forecasts):
        header, rows = [*header, "definition: why"], [[*row, f.reason] for row, f in zip(rows, forecasts, strict=True)]
    print_table(header, rows)
    print_table(
        ("at the most", "MB"),
        [
            (name, f"{size / 1e6:.2f}")
            for name, size in (
                ("parameters", memory.parameters),
                ("gradients", memory.gradients),
                ("kept outputs", memory.outputs),
                ("deltas", memory.deltas),
                ("workspace", memory.workspace),
                ("rest", memory.rest),
                ("peak", memory.peak),
            )
        ],
    )


def _print_layers(network: Network, args: argparse.Namespace) -> None:
    from ..engines.cpu.inspect import plan_layers, plan_memory

    rows = []
    for forecast in plan_layers(network.layers, args.precision):
        others = [forecast.reason] if forecast.reason else []
        others += [
            f"{choice.name}: {choice.reason or f'{choice.cycles / forecast.cycles:.2f} x'}"
            for choice in forecast.declined
            if choice.name != "definition" and (args.all or not choice.reason)
        ]
        row = [
            str(forecast.layer.index),
            forecast.layer.kind,
            "x".join(map(str, forecast.layer.shape)),
            forecast.implementation or "-",
            f"{forecast.layer.operations / 1e6:.1f}",
            f"{forecast.bytes / 1e6:.2f}",
            f"{forecast.seconds * 1e3:.3f}" if forecast.seconds else "",
        ]
        rows.append([*row, others[0] if others else ""])
        rows += [[""] * len(row) + [other] for other in others[1:] if args.all]
    last = "others: time, or why not" if args.all else "next best: time"
    print_table(("layer", "kind", "output", "implementation", "Mops", "MB", "ms a core", last), rows)
    slots, workspace = plan_memory(network.layers, args.precision)
    print_table(
        ("buffer", "MB"),
        [
            *((str(number), f"{size / 1e6:.2f}") for number, size in enumerate(slots)),
            ("workspace", f"{workspace / 1e6:.2f}"),
        ],
    )


def add_speed(parser: argparse.ArgumentParser) -> None:
    """The options of ``speed``."""
    add_cfg(parser)
    parser.add_argument("--batch", type=positive, default=1, metavar="N", help="pictures at a time (default: 1)")
    parser.add_argument("--threads", type=positive, metavar="N", help="CPU threads (default: one a core)")
    add_precision(parser, CPU_PRECISIONS)


def run_speed(args: argparse.Namespace) -> int:
    """Print each layer's time, its rate, and its share of the limit."""
    from ..engines.cpu.inspect import limit_operations, measure_layers, plan_layers
    from ..network import load_structure

    network = load_structure(find_cfg(args.cfg))
    measured = measure_layers(network.layers, args.batch, args.threads, args.precision)
    rows, forecasts = [], plan_layers(network.layers, args.precision)
    for forecast in forecasts:
        layer = forecast.layer
        if layer.index not in measured.seconds:
            continue
        took = measured.seconds[layer.index]
        limit = args.batch * limit_operations(layer) / measured.peak if measured.peak else 0.0
        rows.append(
            (
                str(layer.index),
                layer.kind,
                "x".join(map(str, layer.shape)),
                forecast.implementation,
                *_tell_rate(args.batch * layer.operations, took),
                (f"{limit / took:.0%}" if took and limit else "-") if layer.operations else "",
            )
        )
    operations = sum(forecast.layer.operations for forecast in forecasts)
    rows.append(("all", "", "", "", *_tell_rate(args.batch * operations, measured.total), ""))
    print_table(("layer", "kind", "output", "implementation", "ms", "GFLOP/s", "of the limit"), rows)
    if None in (*measured.seconds.values(), measured.total):
        print_line("-: twice measured in less time than this processor takes, by a clock that jumps or is too coarse")
    return 0


def _tell_rate(operations: int, seconds: float | None) -> tuple[str, str]:
    """Milliseconds, and GFLOP/s where there are operations."""
    if seconds is None:
        return "-", "-" if operations else ""
    return f"{seconds * 1e3:.3f}", f"{operations / seconds / 1e9:.0f}" if operations else ""


def add_warmup(parser: argparse.ArgumentParser) -> None:
    """The options of ``warmup``: none."""


def run_warmup(args: argparse.Namespace) -> int:
    """Compile the kernels, or find them in the cache; none is run."""
    from ..engines.cpu import make_kernels

    make_kernels()
    return 0
