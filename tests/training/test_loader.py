"""Batches made ahead by threads."""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

from darknet_py.datasets.samples import Sample
from darknet_py.errors import ImageError
from darknet_py.images.augment import Augmentation, augment, draw
from darknet_py.images.decode import load_image
from darknet_py.images.fit import to_grey
from darknet_py.training import loader as module
from darknet_py.training.generators import Purpose, generator
from darknet_py.training.loader import Feed, Loader
from darknet_py.training.mixing import Mixing
from darknet_py.training.sampler import make_sampler

OPTIONS = Augmentation(12, 12, 20, angle=20, aspect=1.5, saturation=2, exposure=2, hue=0.2)


@pytest.fixture(scope="module")
def feed(tmp_path_factory):
    """Ten small pictures of two classes."""
    folder = tmp_path_factory.mktemp("pictures")
    samples = []
    for number in range(10):
        pixels = np.random.default_rng(number).integers(0, 256, (14 + number, 30 - number, 3), np.uint8)
        path = folder / f"{number}.png"
        Image.fromarray(pixels).save(path)
        samples.append(Sample(str(path), number % 2))
    sampler = make_sampler("epochs", [sample.truth for sample in samples], 7)
    return Feed(samples, 2, sampler, 7, OPTIONS)


def take(feed, batch, count, position=0, threads=2, **options):
    with Loader(feed, batch, position, threads, **options) as loader:
        return [next(loader) for _ in range(count)]


def test_a_batch_is_its_samples_augmented_with_their_truths(feed):
    (first, second) = take(feed, 4, 2)
    assert (first.position, second.position) == (0, 4)
    assert first.images.dtype == first.truths.dtype == np.float32
    assert first.images.flags.c_contiguous
    for batch in (first, second):
        assert batch.indices.tolist() == feed.sampler.take(batch.position, 4).tolist()
        for at, index in enumerate(batch.indices):
            picture = load_image(feed.samples[index].file)
            random = generator(7, Purpose.PICTURE, batch.position + at)
            draws = draw(OPTIONS, picture.shape[1], picture.shape[0], random)
            assert (batch.images[at] == augment(picture, draws, 12, 12)).all()
            assert batch.truths[at].tolist() == [float(index % 2 == 0), float(index % 2)]


def test_a_grey_batch_is_the_augmented_luma_of_its_samples(feed):
    (batch,) = take(replace(feed, channels=1), 4, 1)
    assert batch.images.shape == (4, 1, 12, 12)
    for at, index in enumerate(batch.indices):
        picture = to_grey(load_image(feed.samples[index].file))
        draws = draw(OPTIONS, picture.shape[1], picture.shape[0], generator(7, Purpose.PICTURE, at))
        channels = augment(picture, draws, 12, 12)
        np.testing.assert_allclose(channels, batch.images[at].repeat(3, axis=0), atol=1e-6)


def stack(batches):
    return np.concatenate([batch.images for batch in batches]), np.concatenate([batch.truths for batch in batches])


@pytest.mark.parametrize("mixing", [Mixing(), Mixing(("mixup", "cutmix", "mosaic"))], ids=["plain", "mixed"])
def test_neither_threads_nor_a_new_start_change_batches(feed, mixing):
    feed = replace(feed, mixing=mixing, smoothing=0.1)
    images, truths = stack(take(feed, 6, 5, threads=1, ahead=1))
    others = take(feed, 6, 5, threads=5, ahead=4), take(feed, 6, 2) + take(feed, 6, 3, position=12)
    for other in (*others, take(feed, 6, 5, ahead=0), take(feed, 6, 5, threads=9, ahead=0)):
        for actual, expected in zip(stack(other), (images, truths), strict=True):
            assert (actual == expected).all()


def test_each_batch_is_mixed_by_numbers_of_its_own(feed, monkeypatch):
    drawn = []
    monkeypatch.setattr(module, "draw_mixing", lambda *arguments: drawn.append(arguments[-1].random()) or [])
    take(feed, 4, 3, threads=1)
    assert len(drawn) == len(set(drawn)) >= 3


def test_the_size_of_a_batch_does_not_change_its_pictures(feed):
    assert (stack(take(feed, 3, 4))[0] == stack(take(feed, 12, 1))[0]).all()


def test_samples_are_looked_for_where_they_lie(feed):
    moved = [Sample("list/" + sample.file, sample.truth) for sample in feed.samples]
    found = replace(feed, samples=moved, locate=lambda file: file.partition("/")[2])
    assert (take(found, 4, 1)[0].images == take(feed, 4, 1)[0].images).all()


def test_a_picture_that_cannot_be_read_is_told_with_its_path_when_its_batch_comes(feed, tmp_path):
    path = tmp_path / "cut.png"
    stream = io.BytesIO()
    Image.new("RGB", (50, 50)).save(stream, "PNG")
    path.write_bytes(stream.getvalue()[:-40])
    bad = int(feed.sampler.take(9, 1)[0])
    samples = [Sample(str(path)) if at == bad else sample for at, sample in enumerate(feed.samples)]
    with Loader(replace(feed, samples=samples), 4, 0, 2) as loader:
        assert [next(loader).position, next(loader).position] == [0, 4]
        with pytest.raises(ImageError, match=rf"^{path}: a damaged picture: "):
            next(loader)
        assert list(loader) == []
    assert not own_threads()


def test_of_several_pictures_that_cannot_be_read_the_first_is_told(feed, monkeypatch):
    files = [feed.samples[at].file for at in feed.sampler.take(0, 4)]
    begun, failed = threading.Event(), threading.Event()

    def load(path):
        place = files.index(path)
        if place == 0:
            begun.wait(60)
            return load_image(path)
        if place == 1:
            begun.set()
            failed.wait(60)
        failed.set()
        raise ImageError("damaged", file=path)

    monkeypatch.setattr(module, "load_image", load)
    with Loader(feed, 4, 0, 2, ahead=0) as loader, pytest.raises(ImageError, match=f"^{files[1]}: damaged$"):
        next(loader)


def test_a_picture_that_was_taken_is_made_whatever_fails_meanwhile(feed):
    missing = [Sample(f"{number}.png", 0) for number in range(10)]
    with Loader(replace(feed, samples=missing), 4, 0, 1) as loader:
        indices, images = feed.sampler.take(0, 4), np.empty((4, 3, 12, 12), np.float32)

        def places():
            pending.failures[1] = ImageError("another thread's")
            yield 0

        pending = module._Pending(0, indices, images, places(), 4)
        assert loader._make(pending) is None
    assert pending.failures.keys() == {0, 1}


def own_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("load")]


def test_too_little_memory_is_an_error_of_the_picture(feed):
    def warp(*arguments):
        raise MemoryError

    with pytest.raises(ImageError, match=r"[0-9]\.png: not enough memory to change it$"):
        take(feed, 2, 1, warp=warp)


def test_no_more_is_made_ahead_than_asked_and_closing_ends_it(feed, monkeypatch):
    seen = []
    monkeypatch.setattr(module, "load_image", lambda path: seen.append(path) or load_image(path))
    loader = Loader(feed, 2, 0, 2, ahead=3)
    assert not seen
    next(loader)
    wait_until(lambda: len(seen) == 8)
    time.sleep(0.05)
    assert len(seen) == 8
    loader.close()
    assert not own_threads()
    assert list(loader) == []


def test_nothing_is_made_ahead_where_nothing_is_asked(feed, monkeypatch):
    seen, make = [], Loader._make_picture
    monkeypatch.setattr(Loader, "_make_picture", lambda *arguments: seen.append(arguments) or make(*arguments))
    with Loader(feed, 4, 0, 2, ahead=0) as loader:
        for count in (4, 8):
            next(loader)
            assert len(seen) == count


@pytest.mark.parametrize("most", [1 << 20, 2000], ids=["all", "some"])
def test_the_next_files_are_read_ahead_as_far_as_they_are_not_too_many(feed, tmp_path, monkeypatch, most):
    monkeypatch.setattr(module, "FETCHED", most)
    files = {sample.file: tmp_path / str(at) for at, sample in enumerate(feed.samples)}
    for file, moved in files.items():
        shutil.copy(file, moved)
    with Loader(replace(feed, locate=files.get), 4, 0, 2, ahead=0) as loader:
        next(loader)
        loader._pool.shutdown()  # waits for the thread that reads them
        sizes = {at: len(file.content) for at, file in loader._fetched.items()}
        assert sum(sizes.values()) <= most
        assert [*sizes] == [4, 5, 6, 7] if most > 2000 else 0 < len(sizes) < 4
        for at in sizes:
            files[feed.samples[feed.sampler.take(at, 1)[0]].file].unlink()
        loader._pool = ThreadPoolExecutor(2)
        assert (next(loader).images == take(feed, 4, 2)[1].images).all()


def test_what_cannot_be_read_ahead_is_left_out(feed, tmp_path):
    pipe = tmp_path / "pipe"
    if hasattr(os, "mkfifo"):
        os.mkfifo(pipe)
    samples = [Sample(str(pipe), 0), Sample("absent", 0), feed.samples[0]]
    with Loader(replace(feed, samples=samples), 1, 0, 1, ahead=0) as loader:
        files, loader._fetching = {}, True
        reading = threading.Thread(target=loader._fetch, args=({7: 0, 8: 1, 9: 2}, files), daemon=True)
        reading.start()
        reading.join(20)
        assert not reading.is_alive()
        assert [*files] == [9]


@pytest.mark.parametrize("ahead", [0, 1])
def test_where_threads_cannot_be_told_where_to_run_they_run(feed, ahead, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.delattr(os, "sched_setaffinity", raising=False)
    assert len(take(feed, 4, 2, threads=os.cpu_count(), ahead=ahead)) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="calls of Linux are refused")
def test_a_sandbox_that_tells_no_cores_lets_them_run():
    script = """
        import sys
        sys.path.append("tests")
        from support_seccomp import deny_affinity

        assert deny_affinity(), "cannot be denied"
        from darknet_py.training.loader import _spread
        from darknet_py.limits import core_count

        print(_spread(core_count()))
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if "cannot be denied" in done.stderr:
        pytest.skip("needs seccomp")
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="threads are not told where to run")
@pytest.mark.parametrize("cores", [[{0}, {1}], [{0, 4}, {1, 5}, {2, 6}]], ids=["a thread", "two threads"])
def test_threads_that_have_all_cores_have_one_each(feed, cores, monkeypatch):
    kept = []
    monkeypatch.setattr(module, "find_cores", lambda: [*cores])
    monkeypatch.setattr(os, "sched_setaffinity", lambda thread, core: kept.append(core))
    for threads, ahead in ((len(cores), 0), (len(cores), 1), (len(cores) + 1, 0)):
        take(feed, 2 * threads, 3, threads=threads, ahead=ahead)
        if (threads, ahead) == (len(cores), 0):
            assert kept
            assert all(kept.count(core) <= 1 for core in cores)
            assert all(core in cores for core in kept)
            kept.clear()
        else:
            assert not kept


def wait_until(done):
    end = time.monotonic() + 60
    while not done():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_closing_waits_for_no_more_than_the_pictures_at_work(feed, monkeypatch):
    begun, go = [], threading.Event()

    def load_slowly(path):
        begun.append(path)
        go.wait(60)
        return load_image(path)

    monkeypatch.setattr(module, "load_image", load_slowly)
    loader = Loader(feed, 32, 0, 2)  # each thread makes four at a time
    loader._begin()
    wait_until(lambda: len(begun) == 2)
    closing = threading.Thread(target=loader.close)
    closing.start()
    wait_until(lambda: loader._closed)
    go.set()
    closing.join(60)
    assert len(begun) == 2
    assert not own_threads()


def test_an_interrupt_ends_a_script_that_loads():
    script = """
        import signal
        from darknet_py.datasets.samples import Sample
        from darknet_py.images.augment import Augmentation
        from darknet_py.training.loader import Feed, Loader
        from darknet_py.training.sampler import make_sampler

        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
        samples = [Sample("data/star.png", 0)] * 100
        options = Augmentation(300, 300, 300)
        feed = Feed(samples, 1, make_sampler("epochs", [0] * 100, 0), 0, options)
        with Loader(feed, 500, 0, 2) as loader:
            print("ready", flush=True)
            for batch in loader:
                pass
    """
    code = textwrap.dedent(script)
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout.readline() == "ready\n"
        time.sleep(0.2)
        child.send_signal(signal.SIGINT)
        try:
            _, said = child.communicate(timeout=60)
        finally:
            child.kill()
    assert said.rstrip().endswith("KeyboardInterrupt")
    assert child.returncode in (-signal.SIGINT, 130)
