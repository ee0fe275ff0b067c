#!/usr/bin/env bash
# Give each ImageNet validation image a name that holds its class, and list them for `darknet classifier valid`.
#
#     tar -xzf ILSVRC2012_bbox_val_v3.tgz
#     mkdir -p imgs && tar xf ILSVRC2012_img_val.tar -C imgs
#     bash scripts/imagenet_label.sh
#
# Reads, in the current folder, the images imgs/NAME.JPEG and their annotations val/NAME.xml. Writes symbolic links
# labelled/NAME.WNID.JPEG to the images, and inet.val.list with the absolute path of each link, one a line, sorted.
# A further run brings both up to date.
#
# Exit code: 0; 3 if images without an annotation were left out; 1 if there is nothing to do or something fails;
# 2 if it was given operands.
set -euo pipefail

if [ $# -gt 0 ]; then
    echo "imagenet_label.sh: takes no operands; reads imgs and val of the current folder" >&2
    exit 2
fi
if ! command -v python3 >/dev/null; then
    echo "imagenet_label.sh: python3: not found; install Python, which darknet_py needs as well" >&2
    exit 1
fi

# One process makes all links. Names are bytes throughout: those of files need not be text in any encoding.
python3 -I - <<'END'
import os
import re
import signal
import sys

IMGS, VAL, LABELLED, LIST = b"imgs", b"val", b"labelled", b"inet.val.list"
UNPACK = {
    IMGS: b"unpack the images: mkdir -p imgs && tar xf ILSVRC2012_img_val.tar -C imgs",
    VAL: b"unpack the annotations: tar -xzf ILSVRC2012_bbox_val_v3.tgz",
}
# All objects of an image are of one class here, so the first counts.
CLASS = re.compile(rb"<name>\s*(n[0-9]{8})\s*</name>")
MADE_HERE = re.compile(rb".+\.n[0-9]{8}\.[^.]+", re.DOTALL)


def say(message):
    sys.stderr.buffer.write(b"imagenet_label.sh: " + message + b"\n")


def fail(message):
    say(message)
    sys.exit(1)


def names(folder, kind, pattern):
    """The names of the files that match, sorted; hidden ones, such as macOS's ._NAME, are left out."""
    if not os.path.isdir(folder):
        fail(folder + b": no such folder; " + UNPACK[folder])
    with os.scandir(folder) as entries:
        found = [
            entry.name
            for entry in entries
            if re.search(pattern, entry.name) and not entry.name.startswith(b".") and not entry.is_dir()
        ]
    if not found:
        fail(folder + b": no " + kind + b" there; " + UNPACK[folder])
    return sorted(found)


def main():
    here = os.getcwdb()
    images = names(IMGS, b"images", rb"(?i)\.jpe?g\Z")
    annotations = set(names(VAL, b"annotations", rb"\.xml\Z"))
    for path in (here, *images):
        if b"\n" in path:
            fail(path.replace(b"\n", b"?") + b": a line break in a name, which a list of one path a line cannot hold")

    wanted = {}
    for image in images:
        stem, suffix = os.path.splitext(image)
        annotation = stem + b".xml"
        if annotation not in annotations:
            say(os.path.join(IMGS, image) + b": no " + os.path.join(VAL, annotation))
            continue
        with open(os.path.join(VAL, annotation), "rb") as xml:
            name = CLASS.search(xml.read())
        if name is None:
            say(os.path.join(IMGS, image) + b": no class in " + os.path.join(VAL, annotation))
            continue
        wanted[stem + b"." + name[1] + suffix] = os.path.join(here, IMGS, image)

    os.makedirs(LABELLED, exist_ok=True)
    with os.scandir(LABELLED) as entries:
        links = [entry.name for entry in entries if entry.is_symlink() and MADE_HERE.fullmatch(entry.name)]
    kept = set()
    for link in links:
        path = os.path.join(LABELLED, link)
        if wanted.get(link) == os.readlink(path):
            kept.add(link)
        else:
            os.unlink(path)
    for link, image in wanted.items():
        if link not in kept:
            os.symlink(image, os.path.join(LABELLED, link))

    # Whoever reads the list sees the old one or the new one, never a part of one.
    with open(LIST + b".part", "wb") as part:
        part.writelines(os.path.join(here, LABELLED, link) + b"\n" for link in sorted(wanted))
    os.replace(LIST + b".part", LIST)

    left_out = len(images) - len(wanted)
    sys.stderr.flush()
    print(f"{len(wanted)} images labelled, {left_out} without an annotation: {LIST.decode()}", flush=True)
    return 3 if left_out else 0


signal.signal(signal.SIGINT, signal.SIG_DFL)
try:
    sys.exit(main())
except OSError as error:
    fail(b": ".join(os.fsencode(part) for part in (error.filename2 or error.filename, error.strerror) if part))
END
