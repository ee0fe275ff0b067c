"""Reading and writing weights files."""

from __future__ import annotations

import errno
import os
from unittest.mock import Mock

import numpy as np
import pytest
from support import make_network, random_parameters
from support_weights import NARROW, VERSIONLESS, WIDE

from darknet_py import weights as weights_module
from darknet_py.errors import UsageError, WeightsError
from darknet_py.weights import _fill, load_prefix, load_weights, save_weights

NETWORK = make_network(
    (2, 4, 4),
    ("convolutional", {"filters": 3, "size": 2, "batch_normalize": 1}),
    ("batchnorm", {}),
    ("connected", {"output": 4}),
    ("softmax", {}),
)
# Where each array is in a file: layer, name, first value, shape.
ORDER = [
    (0, "biases", 0, (3,)),
    (0, "scales", 3, (3,)),
    (0, "means", 6, (3,)),
    (0, "variances", 9, (3,)),
    (0, "weights", 12, (3, 2, 2, 2)),
    (1, "biases", 36, (3,)),
    (1, "scales", 39, (3,)),
    (1, "means", 42, (3,)),
    (1, "variances", 45, (3,)),
    (2, "biases", 48, (4,)),
    (2, "weights", 52, (4, 27)),
]
COUNT = 52 + 4 * 27
OPTIONAL = 3  # of them are not in a file of darknet's own: the biases of [batchnorm]
VALUES = np.arange(COUNT, dtype="<f4")


@pytest.fixture
def write(tmp_path):
    """Write a weights file and return its path."""

    def write(header=WIDE, values=VALUES):
        path = tmp_path / "x.weights"
        path.write_bytes(header + np.asarray(values, "<f4").tobytes())
        return path

    return write


def read_weights(path, network):
    """The parameters in memory of their own, as an engine takes them."""
    return load_weights(path, network).read_all()


@pytest.mark.parametrize(
    ("header", "size", "seen", "version"),
    [(WIDE, 20, 2**40, (0, 2, 0)), (NARROW, 16, 2**32 - 1, (0, 1, 0))],
    ids=["64 bits", "32 bits"],
)
def test_every_array_is_found_after_either_header(write, header, size, seen, version):
    weights = load_weights(write(header), NETWORK)
    found = weights.header
    assert (found.size, found.seen, found.transposed) == (size, seen, False)
    assert (found.major, found.minor, found.revision) == version
    for layer, name, first, shape in ORDER:
        array = weights.parameters.views[layer][name]
        assert array.dtype == np.float32
        assert array.shape == shape
        assert (array.ravel() == np.arange(first, first + array.size)).all()


def test_file_without_a_version_holds_connected_matrices_transposed(write):
    weights = load_weights(write(VERSIONLESS), NETWORK)
    assert (weights.header.size, weights.header.seen, weights.header.transposed) == (16, 77, True)
    matrix = weights.parameters.views[2]["weights"]
    assert matrix.shape == (4, 27)
    for o, i in np.ndindex(4, 27):
        assert matrix[o, i] == 52 + i * 4 + o
    assert (weights.parameters.views[0]["weights"].ravel() == np.arange(12, 36)).all()


def test_parameters_cannot_be_written_to(write):
    weights = load_weights(write(), NETWORK)
    with pytest.raises(ValueError, match="read-only"):
        weights.parameters.views[0]["biases"][0] = 1


def test_network_without_parameters_takes_a_header_alone(write):
    network = make_network((2, 4, 4), ("softmax", {}))
    assert load_weights(write(WIDE, []), network).parameters.views == ({},)


def test_every_other_size_is_refused_with_what_is_expected(tmp_path):
    path = tmp_path / "x.weights"
    right = {header + 4 * count for header in (16, 20) for count in (COUNT, COUNT - OPTIONAL)}
    for size in range(40 + 4 * COUNT):
        path.write_bytes(bytes(size))
        if size in right:
            load_weights(path, NETWORK)
            continue
        with pytest.raises(WeightsError) as error:
            load_weights(path, NETWORK)
        if size == 0:
            reason = "an empty file"
        elif size < 16:
            reason = f"{size} bytes, shorter than a header"
        else:
            kind = "cut short" if size < 20 + 4 * COUNT else "longer"
            reason = f"{size} bytes, {kind}: test.cfg takes {16 + 4 * COUNT} or {20 + 4 * COUNT}"
        assert str(error.value).startswith(f"{path}: {reason}")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"<!DOCTYPE html><html>not found</html>", "an HTML page, not weights"),
        (b"\n<html lang='en'>" + bytes(5000), "an HTML page, not weights"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 4\n", "a Git LFS pointer, not weights"),
    ],
)
def test_pages_and_pointers_in_place_of_weights_are_recognized(tmp_path, content, reason):
    path = tmp_path / "x.weights"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=reason):
        load_weights(path, NETWORK)


def test_missing_files_and_folders_are_refused(tmp_path):
    with pytest.raises(WeightsError, match="no such file"):
        load_weights(tmp_path / "none.weights", NETWORK)
    with pytest.raises(WeightsError, match="is a folder"):
        load_weights(tmp_path, NETWORK)


@pytest.mark.parametrize(
    ("position", "value", "message"),
    [
        (20, np.nan, r"layer 0 \[convolutional\] weights: NaN or infinity"),
        (43, np.inf, r"layer 1 \[batchnorm\] means: NaN or infinity"),
        (COUNT - 1, -np.inf, r"layer 2 \[connected\] weights: NaN or infinity"),
        (10, -0.5, r"layer 0 \[convolutional\] variances: -0.5, a negative variance"),
        (45, -1e-9, r"layer 1 \[batchnorm\] variances: -1e-09, a negative variance"),
    ],
)
def test_values_that_no_training_leaves_are_refused_with_their_layer(write, position, value, message):
    values = VALUES.copy()
    values[position] = value
    with pytest.raises(WeightsError, match=message):
        read_weights(write(values=values), NETWORK)


def test_infinities_that_cancel_out_are_found(write):
    values = VALUES.copy()
    values[[20, 21]] = np.inf, -np.inf
    with pytest.raises(WeightsError, match="NaN or infinity"):
        read_weights(write(values=values), NETWORK)


def test_finite_values_whose_sum_overflows_are_no_infinity(write):
    assert read_weights(write(values=np.full(COUNT, 3e38)), NETWORK).views[2]["weights"].min() > 0


def change_while_read(monkeypatch, change):
    """Let `change` happen between the header and the values."""

    def fill(stream, values):
        change()
        return _fill(stream, values)

    monkeypatch.setattr("darknet_py.weights._fill", fill)


@pytest.mark.parametrize("how", ["grown", "rewritten", "cut short"])
def test_a_file_that_changes_while_it_is_read_is_noticed(write, monkeypatch, how):
    path = write()

    def change():
        if how == "grown":
            with path.open("ab") as stream:
                stream.write(b"more")
        elif how == "rewritten":
            write(values=VALUES + 1)
            os.utime(path, ns=(0, 1))  # some file systems' clocks tick slowly
        else:
            os.truncate(path, 100)

    change_while_read(monkeypatch, change)
    with pytest.raises(WeightsError, match="changed while it was read"):
        read_weights(path, NETWORK)


@pytest.mark.parametrize("size", [0, 3, 20, 21, 40, 19 + 4 * COUNT])
@pytest.mark.parametrize("when", ["fstat", "_parse_header"])
def test_a_file_cut_short_while_it_is_opened_is_noticed(write, monkeypatch, when, size):
    """After its size was seen, and after its header was read."""
    path = write()
    owner = os if when == "fstat" else weights_module
    seen = getattr(owner, when)

    def see_and_cut(*arguments):
        result = seen(*arguments)
        os.truncate(path, size)
        return result

    with monkeypatch.context() as patched:
        patched.setattr(owner, when, see_and_cut)
        with pytest.raises(WeightsError, match=r"x\.weights: changed while it was read; load it again$"):
            load_weights(path, NETWORK)


def test_another_file_in_its_place_is_noticed_though_it_is_as_large_and_as_old(write, tmp_path):
    path = write()
    weights = load_weights(path, NETWORK)
    other = tmp_path / "other"
    other.write_bytes(path.read_bytes())
    os.utime(other, ns=(0, path.stat().st_mtime_ns))
    other.replace(path)
    with pytest.raises(WeightsError, match="changed while it was read"):
        weights.check_unchanged()


def test_what_is_read_is_what_is_mapped(write):
    weights = load_weights(write(VERSIONLESS), NETWORK)
    for read, mapped in zip(weights.read(), weights.parameters, strict=True):
        assert read.keys() == mapped.keys()
        assert all((read[name] == mapped[name]).all() for name in read)
    whole = weights.read_all()
    assert (whole.values == weights.parameters.values).all()
    assert whole.values.flags.writeable


def test_what_was_read_stays_when_the_file_changes_later(write):
    path = write()
    parameters = read_weights(path, NETWORK)
    os.truncate(path, 0)
    assert parameters.views[0]["biases"].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("header", "values", "reason"),
    [
        (WIDE, VALUES[1:], "cut short by 4 bytes"),
        (NARROW, np.append(VALUES + 0.5, 7), "4 bytes too long"),
    ],
    ids=["cut short", "longer"],
)
def test_sizes_that_the_other_header_would_explain_are_refused(write, header, values, reason):
    with pytest.raises(WeightsError, match=reason):
        load_weights(write(header, values), NETWORK)


def test_what_is_saved_is_read_back(tmp_path):
    path = tmp_path / "x.weights"
    parameters = random_parameters(NETWORK.layers)
    save_weights(path, parameters, seen=2**33)
    assert path.stat().st_size == 20 + 4 * COUNT
    weights = load_weights(path, NETWORK)
    assert (weights.header.major, weights.header.minor, weights.header.seen) == (0, 2, 2**33)
    assert (weights.parameters.values == parameters.values).all()
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.weights"]


def test_transposed_weights_are_saved_the_usual_way(write, tmp_path):
    old = load_weights(write(VERSIONLESS), NETWORK)
    save_weights(tmp_path / "new.weights", old.parameters)
    new = load_weights(tmp_path / "new.weights", NETWORK)
    assert not new.header.transposed
    assert (new.parameters.values == old.parameters.values).all()


PREFIX = make_network(
    (2, 4, 4),
    ("convolutional", {"filters": 3, "size": 2}),
    ("maxpool", {"size": 2}),
    ("batchnorm", {}),
    ("connected", {"output": 4}),
    ("softmax", {}),
)
# Values of the first layers, and the layers that they fill.
ENDS = {27: 2, 39: 3, 39 + 4 + 4 * 27: 5}


@pytest.mark.parametrize("header", [WIDE, NARROW, VERSIONLESS], ids=["64 bits", "32 bits", "no version"])
@pytest.mark.parametrize("count", ENDS)
def test_the_first_layers_are_filled_by_a_file_that_holds_them_alone(write, header, count):
    values = np.arange(count)
    weights = load_prefix(write(header, values), PREFIX)
    assert weights.layers == PREFIX.layers[: ENDS[count]]
    if header is VERSIONLESS and count > 39:
        values[43:] = values[43:].reshape(27, 4).T.ravel()
    assert (weights.parameters.values == values).all()
    assert (weights.read_all().values == values).all()


def test_the_first_layers_alone_are_no_network_and_it_is_said_what_takes_them(write):
    with pytest.raises(WeightsError) as error:
        load_weights(write(WIDE, np.arange(39)), PREFIX)
    assert str(error.value).endswith("? Its first 3 layers take as many: as --pretrained classifier train takes them")


@pytest.mark.parametrize(
    ("layers", "seen", "reason"),
    [
        ([], 0, "parameters of no layer; those of a network with weights, or of a training, are expected"),
        (NETWORK.layers, -1, "seen=-1: a count of images is expected"),
        (NETWORK.layers, 2**48, f"seen={2**48}: a count of images is expected"),
    ],
)
def test_what_could_not_be_read_back_is_not_saved(tmp_path, layers, seen, reason):
    with pytest.raises(UsageError, match=reason):
        save_weights(tmp_path / "x.weights", random_parameters(layers), seen)
    assert not [*tmp_path.iterdir()]


def test_a_file_that_ends_within_a_layer_is_refused(tmp_path):
    path = tmp_path / "x.weights"
    counts = {*ENDS, *(count - OPTIONAL for count in ENDS if count > 27)}
    right = {size + 4 * count for size in (16, 20) for count in counts}
    for size in range(30 + 4 * max(ENDS)):
        path.write_bytes(bytes(size))
        if size in right:
            continue
        with pytest.raises(WeightsError) as error:
            load_prefix(path, PREFIX)
        if 16 <= size < 20 + 4 * max(ENDS):
            assert f"{size} bytes, which end within a layer of test.cfg: its first layers take " in str(error.value)
    path.write_bytes(bytes(100))
    with pytest.raises(WeightsError, match=r"take 124 or 128 or 172 or 176$"):
        load_prefix(path, PREFIX)


def test_what_is_mapped_stays_mapped_and_read_only(write):
    weights = load_weights(write(), NETWORK)
    assert isinstance(weights.mapped.base, np.memmap)
    assert np.shares_memory(weights.parameters.values, weights.mapped)
    assert not weights.parameters.values.flags.writeable
    assert not load_weights(write(VERSIONLESS), NETWORK).parameters.values.flags.writeable


def test_failed_save_leaves_the_file_that_was_there(tmp_path, monkeypatch):
    path = tmp_path / "x.weights"
    path.write_bytes(b"precious")
    monkeypatch.setattr(os, "fsync", Mock(side_effect=OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))))
    with pytest.raises(WeightsError, match=r"x\.weights: no space left"):
        save_weights(path, random_parameters(NETWORK.layers))
    assert path.read_bytes() == b"precious"
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.weights"]


def test_save_over_a_folder_is_refused_and_leaves_nothing(tmp_path):
    (tmp_path / "x.weights").mkdir()
    with pytest.raises(WeightsError, match="is a folder"):
        save_weights(tmp_path / "x.weights", random_parameters(NETWORK.layers))
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.weights"]


def test_save_into_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="no such file"):
        save_weights(tmp_path / "none" / "x.weights", random_parameters(NETWORK.layers))


@pytest.mark.parametrize("header", [WIDE, NARROW, VERSIONLESS], ids=["64 bits", "32 bits", "no version"])
def test_what_is_optional_and_missing_is_zero(write, header):
    """Each of the others comes from its own place, in either way of reading."""
    whole = load_weights(write(header, VALUES), NETWORK).parameters.copy()
    whole.views[1]["biases"] = 0
    weights = load_weights(write(header, np.delete(VALUES, np.s_[36:39])), NETWORK)
    assert weights.header.size == len(header)
    assert (weights.parameters.values == whole.values).all()
    assert (weights.read_all().values == whole.values).all()
    assert not weights.parameters.values.flags.writeable


def test_what_is_optional_is_saved_where_it_is_not_zero(tmp_path):
    path, parameters = tmp_path / "x.weights", random_parameters(NETWORK.layers)
    for bias, count in ((0, COUNT - OPTIONAL), (0.5, COUNT)):
        parameters.views[1]["biases"] = [0, bias, 0]
        save_weights(path, parameters)
        assert path.stat().st_size == 20 + 4 * count
        assert (load_weights(path, NETWORK).parameters.values == parameters.values).all()


def test_one_optional_value_is_not_taken_for_the_rest_of_a_header(write):
    network = make_network((1, 2, 2), ("batchnorm", {}))
    assert load_weights(write(WIDE, [1, 2, 3]), network).parameters.values.tolist() == [0, 1, 2, 3]
    assert load_weights(write(WIDE, [7, 1, 2, 3]), network).parameters.values.tolist() == [7, 1, 2, 3]
