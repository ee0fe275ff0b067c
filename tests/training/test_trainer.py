"""The loop: the same bytes in every run, however it is divided; validation, the best weights, and what ends it."""

from __future__ import annotations

import os
import re
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support_trainer import KINDS, draw_folders, write_cfg

from darknet_py.classifier import load_network
from darknet_py.datasets.data_file import Dataset
from darknet_py.datasets.folder import load_folder
from darknet_py.datasets.split import hold_out
from darknet_py.errors import CheckpointError, DatasetError, ImageError, TrainingError, UsageError, WeightsError
from darknet_py.evaluation.loop import evaluate
from darknet_py.training import trainer as module
from darknet_py.training.checkpoint import read_state
from darknet_py.training.loader import AHEAD, Loader
from darknet_py.training.options import TrainingOptions
from darknet_py.training.run_files import TrainingFiles
from darknet_py.training.settings import TrainingSettings
from darknet_py.training.trainer import train

ITERATIONS = 9
REFERENCE = TrainingSettings(engine="reference", seed=3)


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    folder = draw_folders(tmp_path_factory.mktemp("shapes") / "pics", 20)
    return hold_out(load_folder(folder).samples, 0.2, 0)  # 48 and 12


@pytest.fixture
def network(tmp_path):
    return make_network(tmp_path)


def make_network(folder, dialect=None, **net):
    options = {"batch": 12, "subdivisions": 2, "max_batches": ITERATIONS, "learning_rate": 0.02, **net}
    network = load_network(write_cfg(folder / "net.cfg", **options), dialect=dialect)
    network.dataset = Dataset("shapes", len(KINDS), list(KINDS), list(KINDS), 1)
    return network


def files_in(folder):
    folder.mkdir(exist_ok=True)
    return TrainingFiles(folder, "net")


def run(network, samples, stop_at=None, settings=REFERENCE, validate=True, **more):
    """Train up to an iteration, or to the end; return the progress of iterations, and of complete validations."""
    told = []
    validation = samples[1] if validate else ()
    with closing(train(network, samples[0], None, settings, validation=validation, **more)) as running:
        for progress in running:
            if progress.validation is None or progress.validation.complete:
                told.append(progress)
            if stop_at and stop_at(progress):
                break
    return told


def after(iteration):
    """A condition: whether training is to be stopped there."""
    return lambda progress: progress.iteration == iteration and progress.validation is None


@pytest.mark.parametrize(
    ("engine", "threads", "expected"),
    [("cpu", None, 0), ("auto", 3, 0), ("cpu", 1, AHEAD), ("reference", None, AHEAD), ("reference", 3, AHEAD)],
)
def test_batches_are_made_ahead_unless_training_has_all_cores(engine, threads, expected, network, samples, monkeypatch):
    asked = []
    monkeypatch.setattr(module, "core_count", lambda: 2)
    monkeypatch.setattr(module, "Loader", lambda *arguments: asked.append(arguments[4]) or Loader(*arguments))
    settings = TrainingSettings(engine=engine, threads=threads)
    run(network, samples, after(1), settings, validate=False)
    assert asked == [expected]


def weights(files):
    return files.last.read_bytes(), files.best.read_bytes()


def test_iterations_and_validations_are_told(network, samples, tmp_path):
    told = run(network, samples, files=files_in(tmp_path))
    iterations = [progress for progress in told if progress.validation is None]
    assert [progress.iteration for progress in iterations] == [*range(1, ITERATIONS + 1)]
    assert [progress.done for progress in iterations] == [12 * n for n in range(1, ITERATIONS + 1)]
    assert {progress.total for progress in told} == {12 * ITERATIONS}
    assert [progress.epoch for progress in iterations] == [n / 4 for n in range(1, ITERATIONS + 1)]
    assert all(np.isfinite(progress.loss) and progress.rate == np.float32(0.02) for progress in iterations)
    assert [progress.iteration for progress in told if progress.validation] == [4, 8, 9]  # epochs, and the end


def test_a_validation_is_that_of_valid_and_the_best_weights_are_kept(network, samples, tmp_path):
    files, scores = files_in(tmp_path), {}

    def look(progress):
        if progress.validation and progress.validation.complete:
            scores[progress.iteration] = progress.validation.totals.accuracy, files.last.read_bytes()
            best = max(scores, key=lambda n: (scores[n][0], -n))  # among equals, the first
            assert (progress.best, progress.best_iteration) == (scores[best][0], best)
            assert files.best.read_bytes() == scores[best][1]

    (*_, last) = run(network, samples, look, files=files, settings=replace(REFERENCE, validate_every=2))
    assert list(scores) == [2, 4, 6, 8, 9]
    loaded = load_network(network.file, files.best, "reference")
    loaded.dataset = network.dataset
    *_, evaluated = evaluate(loaded, samples[1])
    assert evaluated.totals.accuracy == last.best


def test_a_validation_has_the_arithmetic_of_the_training(samples, tmp_path, monkeypatch):
    network, asked = make_network(tmp_path, "alexeyab-2020", max_batches=1), []
    monkeypatch.setattr(
        module,
        "evaluate",
        lambda loaded, *more, **how: asked.append(loaded.dialect.name) or evaluate(loaded, *more, **how),
    )
    run(network, samples)
    assert asked == ["alexeyab-2020"]


def test_it_trains_and_validates_at_the_networks_present_size(samples, tmp_path, monkeypatch):
    """As the network of a cfg of that size is trained; the options, and a checkpoint, are for one size alone."""
    side, asked, found = 20, [], {}
    monkeypatch.setattr(
        module,
        "evaluate",
        lambda loaded, *more, **how: asked.append(loaded.input_shape) or evaluate(loaded, *more, **how),
    )
    for name, net in {"resized": {}, "of that size": {"width": side, "height": side}}.items():
        files = files_in(tmp_path / name)
        network = make_network(tmp_path, max_batches=1, max_crop=24, **net)
        network.resize(side, side)
        run(network, samples, files=files)
        found[name] = weights(files)
    assert found["resized"] == found["of that size"]
    assert asked == [(3, side, side)] * 2
    network = make_network(tmp_path, max_batches=1, max_crop=24)
    with pytest.raises(CheckpointError, match=r"of another run: augmentation {'size': 20, .*, now {'size': 16, "):
        run(network, samples, files=files_in(tmp_path / "resized"), resume=True)
    options = TrainingOptions.of(network)
    network.resize(side, side)
    message = r"net\.cfg: takes pictures of 20 x 20, and the options make them 16 x 16; TrainingOptions\.of makes those"
    with pytest.raises(UsageError, match=message):
        train(network, samples[0], options, REFERENCE)


def test_a_cfg_that_is_edited_or_removed_meanwhile_changes_no_validation(network, samples):
    def edit(progress):
        Path(network.file).write_text("[net]\nwidth=1\n")

    def remove(progress):
        Path(network.file).unlink(missing_ok=True)

    scores = [
        [progress.validation.totals.figures() for progress in run(network, samples, stop) if progress.validation]
        for stop in (None, edit, remove)
    ]
    assert scores[0] == scores[1] == scores[2]


def test_a_seed_gives_the_same_bytes_whatever_the_threads(network, samples, tmp_path):
    found = {}
    for name, settings in {
        "one": replace(REFERENCE, threads=1),
        "five": replace(REFERENCE, threads=5),
        "other": replace(REFERENCE, seed=4),
    }.items():
        run(network, samples, files=files_in(tmp_path / name), settings=settings)
        found[name] = weights(files_in(tmp_path / name))
    assert found["one"] == found["five"]
    assert found["one"] != found["other"]


@pytest.mark.parametrize("net", [{}, {"adam": 1, "learning_rate": 0.001}, {"mixup": 1, "policy": "random"}], ids=str)
def test_a_run_that_is_stopped_anywhere_ends_with_the_same_bytes(net, samples, tmp_path):
    network = make_network(tmp_path, **net)
    whole, parts = files_in(tmp_path / "whole"), files_in(tmp_path / "parts")
    told = run(network, samples, files=whole)
    in_parts = run(network, samples, files=parts, stop_at=after(1))
    for iteration in (3, 4, 7, None):
        more = run(network, samples, files=parts, resume=True, stop_at=iteration and after(iteration))
        in_parts += more
    assert weights(parts) == weights(whole)
    assert parts.checkpoint.read_bytes() == whole.checkpoint.read_bytes()
    figures = [[(p.iteration, p.loss, p.average, p.rate, p.best) for p in both] for both in (told, in_parts)]
    assert figures[0] == figures[1]


def test_a_validation_that_is_stopped_is_made_up_for(network, samples, tmp_path):
    whole, parts = files_in(tmp_path / "whole"), files_in(tmp_path / "parts")
    run(network, samples, files=whole)
    run(network, samples, files=parts, stop_at=lambda progress: progress.iteration == 4 and progress.validation)
    assert parts.checkpoint.exists()
    assert not parts.best.exists()
    told = run(network, samples, files=parts, resume=True)
    assert told[0].iteration == 4
    assert told[0].validation.complete
    assert weights(parts) == weights(whole)


def test_between_validations_a_checkpoint_is_written_now_and_then(network, samples, tmp_path, monkeypatch):
    files, kept = files_in(tmp_path), []

    def look(progress):
        kept.append(read_state(files.checkpoint).iteration if files.checkpoint.exists() else 0)

    run(network, samples, look, files=files, validate=False)
    assert kept == [0] * 4 + [4] * 4 + [8]
    files.checkpoint.unlink()
    kept.clear()
    monkeypatch.setattr(module, "SAVED", -1)
    run(network, samples, look, files=files, validate=False)
    assert kept == [*range(ITERATIONS)]


@pytest.mark.parametrize(("broken", "saved"), [("next_batch", 5), ("second_batch", 4), ("validate", 8)])
def test_what_an_error_ends_goes_on_as_if_there_had_been_none(broken, saved, samples, tmp_path, monkeypatch):
    """Amid an iteration there is nothing to save: the checkpoint is that of the validation before."""
    whole = files_in(tmp_path / "whole")
    run(make_network(tmp_path), samples, files=whole)
    files = files_in(tmp_path / "broken")
    with monkeypatch.context() as patched:
        calls, at = [], {"next_batch": 11, "second_batch": 12, "validate": 2}[broken]

        def fail_at(function):
            def call(*arguments):
                calls.append(None)
                if len(calls) == at:
                    raise ImageError("no such file", file="x.png")
                return function(*arguments)

            return call

        if broken == "validate":
            patched.setattr(module, "validate", fail_at(module.validate))
        else:
            patched.setattr(Loader, "__next__", fail_at(Loader.__next__))
        with pytest.raises(ImageError):
            run(make_network(tmp_path), samples, files=files)
    assert read_state(files.checkpoint).iteration == saved
    run(make_network(tmp_path), samples, files=files, resume=True)
    assert weights(files) == weights(whole)


def test_a_run_that_is_complete_has_nothing_left(network, samples, tmp_path):
    files = files_in(tmp_path)
    run(network, samples, files=files)
    assert run(network, samples, files=files, resume=True) == []


def test_without_files_or_validation_it_trains_all_the_same(network, samples, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (plain,) = run(network, samples)[-1:]
    assert plain.best >= 0
    (unvalidated,) = run(network, samples, validate=False)[-1:]
    assert unvalidated.best < 0
    np.testing.assert_array_equal(plain.parameters.values, unvalidated.parameters.values)
    assert os.listdir(tmp_path) == ["net.cfg"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"settings": replace(REFERENCE, seed=4)}, "seed 3, now 4"),
        ({"settings": replace(REFERENCE, freeze=1)}, "frozen layers 0, now 1"),
        ({"validate": False}, "images to validate 12, sha256 "),
    ],
)
def test_a_checkpoint_of_another_run_is_refused_by_what_differs(network, samples, tmp_path, change, reason):
    files = files_in(tmp_path)
    run(network, samples, files=files, stop_at=after(1))
    with pytest.raises(CheckpointError, match=re.escape(f"{files.checkpoint}: of another run: {reason}")):
        run(network, samples, files=files, resume=True, **change)


def test_another_cfg_or_other_images_are_refused_by_name(network, samples, tmp_path):
    files = files_in(tmp_path)
    run(network, samples, files=files, stop_at=after(1))
    with pytest.raises(CheckpointError, match=r"of another run: images 48, sha256 .*, now 47, sha256 "):
        run(network, (samples[0][1:], samples[1]), files=files, resume=True)
    changed = make_network(tmp_path, batch=6)
    with pytest.raises(CheckpointError, match=r"of another run: cfg sha256 .*, now sha256 .*; batch 12, now 6; give"):
        run(changed, samples, files=files, resume=True)


def test_what_diverges_stops_with_the_last_good_weights_kept(samples, tmp_path):
    network = make_network(tmp_path, policy="steps", steps="6", scales="1e30")
    files = files_in(tmp_path)
    with pytest.raises(TrainingError) as error:
        run(network, samples, files=files)
    message = (
        r"iteration 7, rate 2e\+28: the loss is \w+: layer \d+ \[\w+\] .*; a lower learning_rate, or a burn_in, may"
    )
    assert re.match(message, str(error.value))
    assert str(error.value).endswith(f"; {files.last} has the weights of iteration 4")
    found = load_network(network.file, files.last, "reference").parameters.values
    assert np.isfinite(found).all()
    assert run(network, samples, files=files, resume=True, stop_at=after(5))[0].iteration == 5


def test_answers_that_are_all_alike_are_remarked_on(samples, tmp_path):
    network = make_network(tmp_path, learning_rate=0, max_batches=1)
    message = "iteration 1: the network answers (circle|crescent|triangle) to every image of the validation"
    *_, last = train(network, samples[0], None, REFERENCE, validation=samples[1])
    assert re.fullmatch(message, last.remark)


def test_what_makes_no_sense_is_refused_at_the_call(network, samples, tmp_path):
    def refused(error, message, network=network, images=samples[0], options=None, settings=REFERENCE, **more):
        with pytest.raises(error, match=message):
            train(network, images, options, settings, **more)

    refused(DatasetError, "no samples; at least one is expected", images=[])
    refused(DatasetError, "x: is of class 3, but there are 3", images=[samples[0][0]._replace(file="x", truth=3)])
    refused(DatasetError, "x: none", images=[samples[0][0]._replace(file="x", truth=-1, doubt="none")])
    refused(UsageError, "samples: 'x.png' is none; load_samples makes them", images=["x.png"])
    refused(UsageError, "resume asks for files", resume=True)
    refused(UsageError, "max_batches= is missing", options=replace(TrainingOptions.of(network), max_batches=0))
    oblong = make_network(tmp_path, height=20)
    refused(UsageError, r"takes pictures of 16 x 20; training makes squares of them", network=oblong)


def test_of_two_runs_on_the_same_files_the_second_is_refused(network, samples, tmp_path):
    files = files_in(tmp_path)
    message = rf"{files.checkpoint}: another run is training with these files$"
    with closing(train(network, samples[0], None, REFERENCE, files=files)) as running:
        next(running)
        with pytest.raises(CheckpointError, match=message):
            train(network, samples[0], None, REFERENCE, files=files, resume=True)
    with pytest.raises(CheckpointError, match="of another run"):
        run(network, samples, files=files, resume=True, settings=replace(REFERENCE, seed=4))
    assert run(network, samples, files=files, resume=True, validate=False)[0].iteration == 2


def test_training_that_is_over_before_it_begins_is_told(network, samples, tmp_path):
    files = files_in(tmp_path)
    run(network, samples, files=files)
    done = replace(REFERENCE, weights=files.last)
    message = rf"{files.last}: already at max_batches=9, after 108 images; -clear, or clear=True, counts from 0"
    with pytest.raises(UsageError, match=message):
        run(network, samples, settings=done)
    assert run(network, samples, settings=replace(done, clear=True))[0].iteration == 1
    loaded = load_network(network.file, files.last, "reference")  # training begins from its weights by itself
    assert run(loaded, samples, after(1), replace(REFERENCE, pretrained=files.last))[0].iteration == 1
    files.last.write_bytes(files.last.read_bytes()[:-1] + b"?")
    with pytest.raises(WeightsError, match="changed"):
        run(loaded, samples)
    loaded = load_network(network.file, files.last, "reference")
    with pytest.raises(UsageError, match=message):
        run(loaded, samples)
    again = [
        run(one, samples, after(1), replace(how, clear=True))[0] for one, how in ((network, done), (loaded, REFERENCE))
    ]
    assert again[0].parameters.values.tobytes() == again[1].parameters.values.tobytes()
    longer = make_network(tmp_path, max_batches=10)
    # Whoever trained the weights has validated them.
    told = run(longer, samples, settings=replace(done, validate_every=9))
    assert [progress.iteration for progress in told] == [10, 10]
