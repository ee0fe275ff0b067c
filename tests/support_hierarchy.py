"""A network whose classes are kinds of each other."""

from __future__ import annotations

from support import cfg_text, random_parameters

from darknet_py.network import load_structure
from darknet_py.weights import save_weights

NAMES = ["thing", "being", "tool", "car", "dog", "cat", "fish", "saw"]
PARENTS = -1, -1, 0, 0, 1, 1, 1, 2
OTHER_PARENTS = -1, -1, -1, -1, 0, 0, 0, 0


def tree_text(parents):
    """What a .tree file says of the classes' parents."""
    return "".join(f"n{i} {parent}\n" for i, parent in enumerate(parents))


def write_hierarchy(folder):
    """Write a data file, a cfg with its tree beside it, and weights; return the paths of these three."""
    (folder / "x.tree").write_text(tree_text(PARENTS))
    (folder / "x.names").write_text("".join(f"{name}\n" for name in NAMES))
    (folder / "x.data").write_text(f"classes=8\nlabels={folder}/x.names\nnames={folder}/x.names\ntop=8\n")
    sections = [
        ("net", {"height": 9, "width": 9, "channels": 3}),
        ("convolutional", {"filters": 8, "size": 3, "activation": "linear"}),
        ("avgpool", {}),
        ("softmax", {"tree": "x.tree"}),
    ]
    (folder / "x.cfg").write_text(cfg_text(sections))
    save_weights(folder / "x.weights", random_parameters(load_structure(folder / "x.cfg").layers))
    return [str(folder / f"x.{kind}") for kind in ("data", "cfg", "weights")]
