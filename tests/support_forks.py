"""Cfgs of published networks of AlexeyAB's fork, from a line each (tests/golden/fork_networks.txt)."""

from __future__ import annotations

import re

from conftest import GOLDEN
from support import Words, cfg_text

_REPEATED = re.compile(r"(\d+) x \(([^()]*)\)")


def fork_networks() -> dict[str, tuple[int, str]]:
    """For each network how many layers it has, and its cfg."""
    lines = [line for line in (GOLDEN / "fork_networks.txt").read_text().split("\n") if line and line[0] != "#"]
    networks = {}
    for header, layers in zip(lines[::2], lines[1::2], strict=True):
        name, side, count, activation = header.split()
        net = ("net", {"width": side, "height": side, "channels": 3})
        words = _REPEATED.sub(lambda found: ", ".join([found[2]] * int(found[1])), layers).split(", ")
        networks[name] = int(count), cfg_text([net, *(_section(word.split(), activation) for word in words)])
    return networks


def _section(words: list[str], activation: str) -> Words:
    """The section of a layer's words."""
    first, rest = words[0], words[1:]
    if first == "route":
        options = {"layers": rest[0]}
        if "part" in rest:
            options["group_id"], options["groups"] = rest[2].split("/")
        return "route", options
    if first == "max":
        return "maxpool", dict(zip(("size", "stride"), rest[0].split("/"), strict=True))
    if first == "add":
        return "shortcut", {"from": rest[0], "activation": rest[1]}
    named = {"up": ("upsample", "stride"), "scale": ("scale_channels", "from"), "drop": ("dropout", "probability")}
    if first in named:
        kind, key = named[first]
        return kind, {key: rest[0]}
    if first in ("avg", "softmax"):
        return ("avgpool" if first == "avg" else first), {}
    size, _, stride = rest[0].partition("/")
    own = [word for word in rest[1:] if word != "nobn" and not re.fullmatch(r"g\d+", word)]
    groups = [word[1:] for word in rest[1:] if re.fullmatch(r"g\d+", word)]
    return "convolutional", {
        "batch_normalize": int("nobn" not in rest),
        "filters": first.removeprefix("c"),
        "size": size.split("x")[0],
        "stride": stride or "1",
        "groups": groups[0] if groups else "1",
        "pad": 1,
        "activation": own[0] if own else activation,
    }
