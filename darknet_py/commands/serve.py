"""darknet serve: a page in the browser, and an HTTP API, that classify pictures."""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import DarknetWarning, UsageError
from ..images.fit import PREDICT_MODES
from ..interrupt import stop_on_signals
from ..streams import say
from .model import add_engine_options, add_style, index, open_model, positive, split_operands

if TYPE_CHECKING:
    from ..classifier import Classifier

USAGE = "[DATA] CFG WEIGHTS"
EPILOG = """\
NAME stands for CFG and WEIGHTS: a network that comes with the program. Several are served together. The page is at /,
the API at /v1/classify, /v1/heatmap, /v1/input, /v1/networks, /healthz and /metrics. Nobody is asked for a password:
whoever reaches the address may use it, on 127.0.0.1 this machine alone. Needs Starlette and uvicorn: the extra serve.
"""
NEEDED = "pip install starlette uvicorn python-multipart prometheus-client"
MAX_PORT = 65535


def add_serve(parser: argparse.ArgumentParser) -> None:
    """The options of ``serve``."""
    parser.add_argument("operands", nargs="*", metavar=f"{USAGE} | NAME ...", help="the networks")
    parser.add_argument("--host", default="127.0.0.1", help="the address that it listens on (default: %(default)s)")
    parser.add_argument(
        "--port",
        type=_port,
        metavar="N",
        default=8000,
        help="the port that it listens on; 0: any free one (default: %(default)s)",
    )
    parser.add_argument(
        "-t", "--top", type=positive, metavar="N", help="guesses for each picture (default: the .data file's)"
    )
    parser.add_argument(
        "--max-mib", type=positive, metavar="N", default=32, help="the largest request, in MiB (default: %(default)s)"
    )
    parser.add_argument(
        "--queue",
        type=positive,
        metavar="N",
        default=256,
        help="the most pictures that run or wait (default: %(default)s)",
    )
    parser.add_argument(
        "--timeout", type=positive, metavar="S", default=30, help="the most seconds to an answer (default: %(default)s)"
    )
    add_style(parser)
    add_engine_options(parser)
    parser.epilog = EPILOG


def run_serve(args: argparse.Namespace) -> int:
    """Answer requests until a signal comes, then finish those already accepted."""
    try:
        import python_multipart  # noqa: F401  # Starlette needs it at the first form

        from ..serving.app import Service
        from ..serving.server import known_hosts, listen, serve, tell_address
    except ModuleNotFoundError as missing:
        raise UsageError(f"serve needs {missing.name}, which is missing: {NEEDED}") from None
    from ..pages.serving import show_service
    from ..serving.limits import Limits

    limits = Limits(body=args.max_mib << 20, queue=args.queue, seconds=args.timeout)
    with listen(args.host, args.port) as listener:
        networks = _open_networks(args)
        warnings.simplefilter("ignore", DarknetWarning)  # about clients' pictures: nobody who cares would see them
        page = show_service(list(networks), PREDICT_MODES, limits.body)
        service = Service(networks, limits, page, known_hosts(listener, args.host))
        with stop_on_signals("when the requests at work are answered") as stop:
            say(f"serving {', '.join(networks)} at {tell_address(listener)}; Ctrl-C stops")
            serve(service, listener, lambda: stop.signum > 0)
    return 0


def _open_networks(args: argparse.Namespace) -> dict[str, Classifier]:
    """Open the networks that the operands name; return them by the names they are served under, ready to answer."""
    networks: dict[str, Classifier] = {}
    left = args.operands
    while left or not networks:
        operands = split_operands(left, USAGE)
        left = operands.rest
        network = open_model(operands, args)
        network.predict(np.zeros((1, *network.input_shape), np.float32))  # compiles and plans before a request comes
        name = stem = Path(operands.cfg).stem
        number = 1
        while name in networks:
            number += 1
            name = f"{stem}-{number}"
        networks[name] = network
    return networks


def _port(text: str) -> int:
    """An argument that is the number of a port."""
    port = index(text)
    if port > MAX_PORT:
        raise argparse.ArgumentTypeError(f"{text}: a port from 0 to {MAX_PORT} is expected")
    return port
