"""The labelling of ImageNet's validation images, from small archives that are laid out as the published ones."""

from __future__ import annotations

import io
import os
import re
import shlex
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from conftest import REFERENCE, ROOT, needs_reference
from support_cli import environment, run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no bash, and links need a privilege")

SCRIPT = ROOT / "scripts" / "imagenet_label.sh"
UNPACK_ANNOTATIONS = "tar -xzf ILSVRC2012_bbox_val_v3.tgz"
UNPACK_IMAGES = "mkdir -p imgs && tar xf ILSVRC2012_img_val.tar -C imgs"
LABEL = f"bash {shlex.quote(str(SCRIPT))}"

CLASSES = {1: "n01751748", 2: "n09193705", 3: "n02105855"}
LABELLED = [f"ILSVRC2012_val_{number:08}.{wnid}.JPEG" for number, wnid in CLASSES.items()]


def image(number: int) -> str:
    return f"ILSVRC2012_val_{number:08}"


def annotation(name: str, *wnids: str) -> str:
    """An annotation as published, with one object for each class named."""
    objects = "".join(
        f"\t<object>\n\t\t<name>{wnid}</name>\n\t\t<pose>Unspecified</pose>\n\t\t<truncated>0</truncated>\n"
        "\t\t<difficult>0</difficult>\n\t\t<bndbox>\n\t\t\t<xmin>111</xmin>\n\t\t\t<ymin>108</ymin>\n"
        "\t\t\t<xmax>441</xmax>\n\t\t\t<ymax>193</ymax>\n\t\t</bndbox>\n\t</object>\n"
        for wnid in wnids
    )
    return (
        f"<annotation>\n\t<folder>val</folder>\n\t<filename>{name}</filename>\n"
        "\t<source>\n\t\t<database>ILSVRC_2012</database>\n\t</source>\n"
        "\t<size>\n\t\t<width>500</width>\n\t\t<height>375</height>\n\t\t<depth>3</depth>\n\t</size>\n"
        f"\t<segmented>0</segmented>\n{objects}</annotation>\n"
    )


def pack(path: Path, mode: str, members: dict[str, bytes]) -> None:
    with tarfile.open(path, mode) as archive:
        for name, body in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(body)
            archive.addfile(member, io.BytesIO(body))


def bash(folder: Path, *commands: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", "\n".join(("set -e", *commands))], cwd=folder, capture_output=True, text=True, timeout=120
    )


@pytest.fixture
def folder(tmp_path):
    """A folder whose name needs quoting, with both archives, unpacked."""
    folder = tmp_path.resolve() / 'it\'s a "folder" & $HOME `id` \\1 *'
    folder.mkdir()
    pack(
        folder / "ILSVRC2012_bbox_val_v3.tgz",
        "w:gz",
        {f"val/{image(n)}.xml": annotation(image(n), wnid).encode() for n, wnid in CLASSES.items()},
    )
    pack(folder / "ILSVRC2012_img_val.tar", "w", {f"{image(n)}.JPEG": b"image %d" % n for n in CLASSES})
    unpacked = bash(folder, UNPACK_ANNOTATIONS, UNPACK_IMAGES)
    assert (unpacked.returncode, unpacked.stderr) == (0, "")
    return folder


def listed(folder: Path) -> list[str]:
    return (folder / "inet.val.list").read_text().splitlines()


def links(folder: Path) -> list[str]:
    return sorted(os.listdir(folder / "labelled"))


def annotate(folder: Path, name: str, text: str) -> None:
    (folder / "val" / f"{name}.xml").write_bytes(text.encode())


def add(folder: Path, name: str, *wnids: str) -> None:
    (folder / "imgs" / f"{name}.JPEG").write_bytes(b"added")
    if wnids:
        annotate(folder, name, annotation(name, *wnids))


def test_each_image_gets_a_link_that_names_its_class(folder):
    run = bash(folder, LABEL)
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout == "3 images labelled, 0 without an annotation: inet.val.list\n"
    assert links(folder) == LABELLED
    for number, name in zip(CLASSES, LABELLED, strict=True):
        link = folder / "labelled" / name
        assert os.readlink(link) == str(folder / "imgs" / f"{image(number)}.JPEG")
        assert link.read_bytes() == b"image %d" % number


def test_the_list_holds_the_absolute_path_of_each_link_sorted(folder):
    bash(folder, LABEL)
    assert (folder / "inet.val.list").read_text() == "".join(f"{folder}/labelled/{name}\n" for name in LABELLED)


def test_the_list_is_sorted_by_bytes_whatever_the_locale(folder):
    names = ["B", "Z", "a", "a.b", "a b", "a&b", "a'\"$x\\1", "ä"]
    for name in names:
        add(folder, name, "n01440764")
    run = bash(folder, "export LC_ALL=C", LABEL)
    assert (run.returncode, run.stderr) == (0, "")
    assert listed(folder) == sorted(listed(folder), key=os.fsencode)
    assert sorted(links(folder)) == sorted([*LABELLED, *(f"{name}.n01440764.JPEG" for name in names)])
    assert all(Path(path).is_file() for path in listed(folder))


def test_the_list_can_be_moved_away(folder):
    run = bash(folder, LABEL, "mkdir data", "mv inet.val.list data/")
    assert run.returncode == 0
    paths = (folder / "data" / "inet.val.list").read_text().splitlines()
    assert [Path(path).read_bytes() for path in paths] == [b"image 1", b"image 2", b"image 3"]


def test_a_second_run_changes_nothing(folder):
    bash(folder, LABEL)
    before = listed(folder), [os.lstat(path).st_mtime_ns for path in listed(folder)]
    run = bash(folder, LABEL)
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout == "3 images labelled, 0 without an annotation: inet.val.list\n"
    assert (listed(folder), [os.lstat(path).st_mtime_ns for path in listed(folder)]) == before
    assert links(folder) == LABELLED
    assert sorted(os.listdir(folder)) == [
        "ILSVRC2012_bbox_val_v3.tgz",
        "ILSVRC2012_img_val.tar",
        "imgs",
        "inet.val.list",
        "labelled",
        "val",
    ]


def test_a_changed_annotation_replaces_the_link(folder):
    bash(folder, LABEL)
    annotate(folder, image(2), annotation(image(2), "n01440764"))
    assert bash(folder, LABEL).returncode == 0
    now = [LABELLED[0], f"{image(2)}.n01440764.JPEG", LABELLED[2]]
    assert links(folder) == now
    assert listed(folder) == [f"{folder}/labelled/{name}" for name in now]


def test_links_follow_the_folder_when_it_is_moved(folder):
    bash(folder, LABEL)
    moved = folder.rename(folder.parent / "moved")
    assert bash(moved, LABEL).returncode == 0
    assert links(moved) == LABELLED
    assert [Path(path).read_bytes() for path in listed(moved)] == [b"image 1", b"image 2", b"image 3"]
    assert all(path.startswith(f"{moved}/labelled/") for path in listed(moved))


def test_what_the_script_did_not_make_stays(folder):
    (folder / "labelled").mkdir()
    (folder / "labelled" / "notes.txt").write_text("mine")
    (folder / "labelled" / "other.JPEG").symlink_to(folder / "imgs" / f"{image(1)}.JPEG")
    assert bash(folder, LABEL).returncode == 0
    assert links(folder) == [*LABELLED, "notes.txt", "other.JPEG"]
    assert [Path(path).name for path in listed(folder)] == LABELLED


def test_a_file_in_the_place_of_a_link_is_named_and_stays(folder):
    (folder / "labelled").mkdir()
    (folder / "labelled" / LABELLED[1]).write_text("mine")
    run = bash(folder, LABEL)
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == f"imagenet_label.sh: labelled/{LABELLED[1]}: File exists\n"
    assert (folder / "labelled" / LABELLED[1]).read_text() == "mine"
    assert not (folder / "inet.val.list").exists()


def test_images_without_an_annotation_are_named_and_left_out(folder):
    add(folder, image(4))
    add(folder, image(5))
    run = bash(folder, LABEL)
    assert run.returncode == 3
    assert run.stderr == "".join(f"imagenet_label.sh: imgs/{image(n)}.JPEG: no val/{image(n)}.xml\n" for n in (4, 5))
    assert run.stdout == "3 images labelled, 2 without an annotation: inet.val.list\n"
    assert links(folder) == [Path(path).name for path in listed(folder)] == LABELLED


def test_an_annotation_without_a_class_counts_as_none(folder):
    bash(folder, LABEL)
    annotate(folder, image(2), annotation(image(2)))
    run = bash(folder, LABEL)
    assert run.returncode == 3
    assert run.stderr == f"imagenet_label.sh: imgs/{image(2)}.JPEG: no class in val/{image(2)}.xml\n"
    assert links(folder) == [LABELLED[0], LABELLED[2]]


def test_an_annotation_without_an_image_is_passed_over(folder):
    (folder / "imgs" / f"{image(3)}.JPEG").unlink()
    run = bash(folder, LABEL)
    assert (run.returncode, run.stdout) == (0, "2 images labelled, 0 without an annotation: inet.val.list\n")
    assert links(folder) == LABELLED[:2]


@pytest.mark.parametrize(
    "text",
    [
        annotation(image(4), "n01440764").replace("\n", "\r\n"),
        annotation(image(4), "n01440764", "n01440764", "n01440764"),
        annotation(image(4), "\r\n\t n01440764 \t"),
        annotation(image(4), "n01440764").replace("\n", "").replace("\t", ""),
        annotation("n02105855", "n01440764").replace(">val<", ">n09193705<"),
        annotation(image(4), "n01440764").replace("<size>", "<owner><name>n. n.</name></owner><size>"),
    ],
    ids=["crlf", "several objects", "blanks", "one line", "classes elsewhere", "another name"],
)
def test_the_class_is_the_name_of_the_first_object(folder, text):
    add(folder, image(4))
    annotate(folder, image(4), text)
    run = bash(folder, LABEL)
    assert (run.returncode, run.stderr) == (0, "")
    assert links(folder) == [*LABELLED, f"{image(4)}.n01440764.JPEG"]


def test_of_several_classes_the_first_counts(folder):
    add(folder, image(4), "n02105855", "n01440764")
    assert bash(folder, LABEL).returncode == 0
    assert links(folder) == [*LABELLED, f"{image(4)}.n02105855.JPEG"]


@pytest.mark.parametrize(
    ("missing", "advice"),
    [
        ("imgs", f"no such folder; unpack the images: {UNPACK_IMAGES}"),
        ("val", f"no such folder; unpack the annotations: {UNPACK_ANNOTATIONS}"),
    ],
)
def test_a_missing_folder_is_named_with_the_command_that_makes_it(folder, missing, advice):
    (folder / missing).rename(folder / "elsewhere")
    run = bash(folder, LABEL)
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == f"imagenet_label.sh: {missing}: {advice}\n"
    assert not (folder / "labelled").exists()
    assert not (folder / "inet.val.list").exists()


@pytest.mark.parametrize(
    ("emptied", "advice"),
    [
        ("imgs", f"no images there; unpack the images: {UNPACK_IMAGES}"),
        ("val", f"no annotations there; unpack the annotations: {UNPACK_ANNOTATIONS}"),
    ],
)
def test_a_folder_without_images_or_annotations_is_named(folder, emptied, advice):
    for path in (folder / emptied).iterdir():
        path.rename(path.with_name("._" + path.name))
    run = bash(folder, LABEL)
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == f"imagenet_label.sh: {emptied}: {advice}\n"


def test_a_run_that_fails_leaves_the_list_as_it_was(folder):
    bash(folder, LABEL)
    before = listed(folder)
    (folder / "val").rename(folder / "elsewhere")
    assert bash(folder, LABEL).returncode == 1
    assert listed(folder) == before
    assert links(folder) == LABELLED


def test_the_list_is_replaced_as_a_whole(folder):
    bash(folder, LABEL)
    before = (folder / "inet.val.list").read_text()
    (folder / "reader").hardlink_to(folder / "inet.val.list")
    annotate(folder, image(2), annotation(image(2), "n01440764"))
    assert bash(folder, LABEL).returncode == 0
    assert (folder / "reader").read_text() == before
    assert (folder / "inet.val.list").read_text() == before.replace(LABELLED[1], f"{image(2)}.n01440764.JPEG")


def test_files_that_are_no_images_are_passed_over(folder):
    for name in ("._" + image(1) + ".JPEG", ".DS_Store", "ILSVRC2012_img_val.tar"):
        (folder / "imgs" / name).write_bytes(b"")
    run = bash(folder, LABEL)
    assert (run.returncode, run.stderr) == (0, "")
    assert links(folder) == LABELLED


def test_folders_may_be_links(folder):
    for name in ("imgs", "val"):
        (folder / name).rename(folder.parent / name)
        (folder / name).symlink_to(folder.parent / name)
    assert bash(folder, LABEL).returncode == 0
    assert [Path(path).read_bytes() for path in listed(folder)] == [b"image 1", b"image 2", b"image 3"]


def test_a_line_break_in_a_name_is_refused(folder):
    add(folder, "two\nlines", "n01440764")
    run = bash(folder, LABEL)
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.startswith("imagenet_label.sh: two?lines.JPEG: a line break in a name")
    assert run.stderr.count("\n") == 1


def test_modules_in_the_current_folder_are_not_imported(folder):
    for name in ("re.py", "signal.py"):
        (folder / name).write_text("raise SystemExit(9)")
    assert bash(folder, LABEL).returncode == 0


def test_operands_are_refused(folder):
    run = bash(folder, LABEL + " imgs")
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr == "imagenet_label.sh: takes no operands; reads imgs and val of the current folder\n"


def test_the_script_may_be_run_by_its_path(folder):
    assert os.access(SCRIPT, os.X_OK)
    assert bash(folder, shlex.quote(str(SCRIPT))).returncode == 0


@needs_reference
def test_from_the_archives_to_a_networks_figures(tmp_path, cache):
    photographs = sorted((REFERENCE / "real" / "images").iterdir())
    names = {path: image(number) for number, path in enumerate(photographs, 1)}
    annotations = {f"val/{name}.xml": annotation(name, path.name.partition("_")[0]) for path, name in names.items()}
    pack(tmp_path / "ILSVRC2012_bbox_val_v3.tgz", "w:gz", {xml: text.encode() for xml, text in annotations.items()})
    pack(tmp_path / "ILSVRC2012_img_val.tar", "w", {f"{name}.JPEG": path.read_bytes() for path, name in names.items()})
    (tmp_path / "data").mkdir()
    done = bash(tmp_path, UNPACK_ANNOTATIONS, UNPACK_IMAGES, LABEL, "mv inet.val.list data/")
    assert done.returncode == 0, done.stderr
    weights = REFERENCE / "real" / "tiny.weights"
    answer = run("classifier", "valid", "cfg/", "cfg/tiny.cfg", weights, cwd=tmp_path, env=environment(cache))
    assert answer.code == 0
    # The C program has 26 and 39.
    assert re.search(r"^49: top 1: 0\.5[024]0000, top 5: 0\.(76|78|80)0000$", answer.out, re.MULTILINE)
