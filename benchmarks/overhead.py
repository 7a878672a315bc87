"""What digitkit adds to the model's own call: calls, normal form, and the time between calls.

    python benchmarks/overhead.py
    python benchmarks/overhead.py --rounds 300 --paced 100

First, `Classifier` against ``InferenceSession.run`` with the input prepared, one image, one thread:
the calls take turns, and the figure is the median over the rounds of the difference between a
round's medians. Second, MNIST's test digits, as 28×28 images and enlarged to 100×100, bright on
dark and dark on light, brought to normal form: `normal_form` of a digit's ink, and `digit_image`
from an image. Third, readings at a fixed rate of 10 Hz against the same readings back to back:
processor time of the whole process, all threads, in the call and in the wait after it. A call at a
fixed rate finds cold caches and a processor that has slowed down, so it costs more than a hot one,
as does the session's own call. digitkit is only responsible for the wait: it must cost what a wait
costs without any call, since no thread spins.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from common import ran_on, table
from stages import frame_of

from digitkit import Classifier, Reader
from digitkit.arrays import U8
from digitkit.datasets.mnist import load_mnist
from digitkit.images.cv import cv2
from digitkit.images.ink import extract_ink
from digitkit.images.normal_form import digit_image, normal_form

Call = tuple[Callable[[Any], object], Sequence[Any]]
"""A function and its inputs, one call each."""


def time_interleaved(calls: Sequence[Call], rounds: int) -> np.ndarray:
    """Microseconds per call, float64 ``[calls, rounds]``: medians over a round's inputs."""
    medians = np.zeros((len(calls), rounds))
    for call, inputs in calls:
        call(inputs[0])
    gc.disable()
    for turn in range(rounds):
        for step in range(len(calls)):
            place = (turn + step) % len(calls)
            call, inputs = calls[place]
            durations = []
            for argument in inputs:
                begun = time.perf_counter_ns()
                call(argument)
                durations.append(time.perf_counter_ns() - begun)
            medians[place, turn] = np.median(durations) / 1000
    gc.enable()
    return medians


def measure_classifying(images: U8, rounds: int) -> list[list[str]]:
    """Rows: the session's own call, and what `Classifier` adds to it."""
    classifier = Classifier()
    run = classifier.session.run
    outputs = [output.name for output in classifier.session.get_outputs()]
    medians = time_interleaved(
        [
            (lambda feed: run(outputs, feed), [{"image": image[None, None]} for image in images]),
            (classifier.scores, [image[None] for image in images]),
            (classifier.classify, list(images)),
            (classifier.classify, [[image] for image in images]),
        ],
        rounds,
    )
    names = ("InferenceSession.run", "Classifier.scores, [1, 28, 28]", "classify, [28, 28]")
    added = medians - medians[0]
    return [
        [name, f"{np.median(total):.1f}", f"{np.median(difference):+.1f}"]
        for name, total, difference in zip(
            (*names, "classify, a list of one"), medians, added, strict=True
        )
    ]


def measure_normalising(images: U8, rounds: int) -> list[list[str]]:
    """Rows: a size and polarity, microseconds of `normal_form` and of `digit_image`."""
    large = [cv2.resize(image, (100, 100), interpolation=cv2.INTER_CUBIC) for image in images]
    rows = []
    for size, bright in ((28, list(images)), (100, large)):
        for name, these in (
            ("bright on dark", bright),
            ("dark on light", [cv2.bitwise_not(image) for image in bright]),
        ):
            inks = [extract_ink(np.asarray(image, np.uint8)) for image in these]
            medians = time_interleaved([(normal_form, inks), (digit_image, these)], rounds)
            rows.append([f"{size}×{size}, {name}", *(f"{t:.1f}" for t in np.median(medians, 1))])
    return rows


def measure_pacing(
    call: Callable[[Any], object], argument: Any, count: int
) -> tuple[float, float, float]:
    """Processor time, milliseconds: per hot call, per call at 10 Hz, and per wait after it."""
    for _ in range(20):
        call(argument)
    begun = time.process_time()
    for _ in range(count):
        call(argument)
    hot = (time.process_time() - begun) / count
    working = waiting = 0.0
    for _ in range(count):
        clock, before = time.perf_counter(), time.process_time()
        call(argument)
        between = time.process_time()
        time.sleep(max(0.0, 0.1 - (time.perf_counter() - clock)))
        working += between - before
        waiting += time.process_time() - between
    return 1000 * hot, 1000 * working / count, 1000 * waiting / count


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--paced", type=int, default=50, help="readings at 10 Hz, per kind")
    parser.add_argument("--images", type=int, default=200)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    images = load_mnist("test").images[: options.images]
    print(f"{ran_on()}, {options.rounds} rounds of {len(images)} test digits\n")
    print(table(["", "us", "added"], measure_classifying(images, options.rounds)) + "\n")
    heads = ["us", "normal_form", "digit_image"]
    print(table(heads, measure_normalising(images, options.rounds)) + "\n")
    digit, frame, session = images[0], frame_of(4), Classifier().session
    paced: list[tuple[str, Callable[[Any], object], Any]] = [
        ("nothing", lambda argument: None, None),
        (
            "InferenceSession.run",
            lambda feed: session.run(None, feed),
            {"image": digit[None, None]},
        ),
    ]
    for threads in (1, 2):
        reader = Reader(threads=threads)
        paced.append((f"Reader, 28×28, threads: {threads}", reader.read, digit))
        paced.append((f"Reader, 640×480, 4 digits, threads: {threads}", reader.read, frame))
    rows = []
    for name, call, argument in paced:
        hot, working, waiting = measure_pacing(call, argument, options.paced)
        load = f"{(working + waiting) / 100:.2%}"
        rows.append([name, f"{hot:.3f}", f"{working:.3f}", f"{waiting:.3f}", load])
    heads = ["CPU, ms", "hot", "at 10 Hz", "the wait after it", "of a core"]
    print(table(heads, rows))


if __name__ == "__main__":
    main()
