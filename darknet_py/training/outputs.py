"""The last layer with weights: giving it as many outputs as there are classes, and weights of a network with others."""

from __future__ import annotations

import os
from dataclasses import replace

from ..cfg import MAX_BYTES, Entry
from ..errors import CfgError, UsageError, WeightsError
from ..files import check_regular, read_text, resolve
from ..layers import Layer
from ..network import Network
from ..parameters import Parameters
from ..weights import load_prefix, load_weights

KEYS = ("filters", "output")  # options that say how many outputs a layer has


def _find_last(network: Network) -> tuple[Layer, str]:
    """The last layer with weights, and the key of its option that says how many outputs it has."""
    for layer in reversed(network.layers):
        if any(parameter.role == "weight" for parameter in layer.parameters.values()):
            key = next((key for key in KEYS if key in layer.options), None)
            if key is not None:
                return layer, key
            break
    raise UsageError("no convolutional or connected layer, of which the outputs could be set", file=network.file)


def with_outputs(network: Network, count: int) -> Network:
    """The network with its last layer with weights changed to `count` outputs.

    Raises
    ------
    CfgError
        Where the network still has another number of outputs then, or cannot be built.
    """
    layer, key = _find_last(network)
    sections = list(network.sections)
    entry = Entry(
        str(count), layer.section.line if key not in layer.section.entries else layer.section.entries[key].line
    )
    sections[layer.index + 1] = replace(layer.section, entries={**layer.section.entries, key: entry})
    changed = Network(sections, network.file, network.dialect)
    if changed.outputs != count:
        reason = f"the network has {changed.outputs} outputs where this is {count}; set the outputs in the cfg"
        raise layer.section.error(reason, key)
    return changed


def rewrite_cfg(network: Network, count: int) -> str:
    """The text of the cfg of `with_outputs`: the network's own, with at most one line changed or added."""
    text = read_text(resolve(network.file), CfgError, network.file, MAX_BYTES)
    if network.outputs == count:
        return text
    layer, key = _find_last(network)
    lines, section = text.split("\n"), layer.section
    if key in section.entries:
        lines[section.entries[key].line - 1] = f"{key}={count}"
    else:
        lines.insert(section.line, f"{key}={count}")
    return "\n".join(lines)


def load_first(path: str | os.PathLike[str], network: Network, parameters: Parameters) -> int:
    """Fill `parameters` from a weights file, as far as it fits; return how many layers were filled.

    The file may hold all layers; the first ones, as ``darknet partial`` writes them; or all layers of a network that
    differs in the number of outputs of its last layer with weights: then the layers before that are filled.

    Raises
    ------
    WeightsError
        Where it is none of these, or a value is not finite.
    """
    other = _with_outputs_of(path, network)
    if other is None:
        loaded = load_prefix(path, network)
        values, filled = loaded.read_all().values, len(loaded.layers)
    else:
        filled = _find_last(other)[0].index
        values = load_weights(path, other).read_all().first(filled).values
    parameters.first(filled).values[...] = values
    return filled


def _with_outputs_of(path: str | os.PathLike[str], network: Network) -> Network | None:
    """The network with the number of outputs that the file's size implies; None where that is no other number."""
    size = check_regular(resolve(path), WeightsError, path)
    try:
        layer, _ = _find_last(network)
    except UsageError:
        return None
    before = sum(other.parameter_count for other in network.layers[: layer.index])
    for_one = layer.parameter_count // layer.shape.channels
    for header in (20, 16):
        count, rest = divmod(size - header - 4 * before, 4 * for_one)
        if count > 0 and rest == 0 and count != layer.shape.channels:
            try:
                return with_outputs(network, count)
            except CfgError:
                continue
    return None
