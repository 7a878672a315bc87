"""Fit the weights of `digitkit.reading.detection.context` on synthetic pages.

    python benchmarks/context.py --count 2000

Pages as the detector is trained on are read, with other seeds and with digits that no shipped
classifier was trained on; a detection counts as a digit if it is where one was written. Prints the
weights, and how many digits are found at each number of false ones per hundred pages: by the
detector's score and the classifier's confidence alone, by each detection itself, and in its
context. Weights of one half of the pages are measured on the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from common import fit_options, load_digits, ran_on, table, tracked

from digitkit import Classifier
from digitkit.arrays import F64, Box
from digitkit.boxes import is_at
from digitkit.images.grey import GreyImage
from digitkit.reading.detection.context import context_features, own_features, predict_logistic
from digitkit.reading.detection.detections import ClassifiedDetection
from digitkit.reading.networks.detector import Detector
from digitkit.reading.strategies import PageStrategy, classify_with
from digitkit.training.scenes.scene import Scene, compose_scene

FALSE_PER_HUNDRED = (3, 10, 30)
SEED = 101
DECAY = 1e-3


@dataclass(frozen=True)
class Page:
    """The detections of one page, without those of digits that its border cuts.

    Attributes:
        classified: the detections.
        side: the image's longer side, pixels.
        is_digit: whether each is a digit, bool ``[N]``.
        written: digits on the page.
    """

    classified: list[ClassifiedDetection]
    side: int
    is_digit: npt.NDArray[np.bool_]
    written: int


def read_page(scene: Scene, strategy: PageStrategy, classifier: Classifier) -> Page:
    """Detect and classify the digits of a page."""
    grey = GreyImage.from_pixels(scene.image)
    detections = [each for each in strategy.detect(grey) if not each.whole_image]
    detections = [each for each in detections if not _is_any(each.box, scene.cut)]
    classified = classify_with(classifier, detections)
    found = [_is_any(each.box, scene.boxes) for each in detections]
    return Page(classified, max(grey.shape), np.array(found, bool), len(scene.digits))


def _is_any(box: Box, others: Sequence[Box]) -> bool:
    return any(is_at(box, other) for other in others)


def fit(
    features: F64,
    is_digit: npt.NDArray[np.bool_],
    decay: float = DECAY,
    signs: Mapping[int, float] | None = None,
) -> list[float]:
    """Fit a logistic regression: the weights of a constant and of each feature.

    Args:
        features: float64 ``[N, F]``.
        is_digit: bool ``[N]``, what they are to tell.
        decay: of the weights.
        signs: features whose weights must not have the other sign, each with 1 or -1.
    """
    mean, scale = features.mean(0), features.std(0) + 1e-9
    x = torch.from_numpy((features - mean) / scale)
    y = torch.from_numpy(is_digit.astype(np.float64))
    weights = torch.zeros(x.shape[1] + 1, dtype=torch.float64, requires_grad=True)
    sign = torch.zeros(x.shape[1], dtype=torch.float64)
    for place, value in (signs or {}).items():
        sign[place] = value
    optimiser = torch.optim.LBFGS([weights], max_iter=500, line_search_fn="strong_wolfe")

    def slopes() -> torch.Tensor:
        free = weights[1:]
        return torch.where(sign == 0, free, sign * torch.nn.functional.softplus(4 * free - 2) / 4)

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        logits = weights[0] + x @ slopes()
        value = torch.nn.functional.binary_cross_entropy_with_logits(logits, y)
        value = value + decay * (slopes() ** 2).sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    found = slopes().detach().numpy() / scale
    return [weights[0].item() - float(found @ mean), *map(float, found)]


def fit_both(pages: Sequence[Page]) -> tuple[list[float], list[float]]:
    """The weights of each detection by itself, and those in its context."""
    is_digit = np.concatenate([page.is_digit for page in pages])
    own = [own_features(page.classified, page.side) for page in pages]
    own_weights = fit(np.vstack(own), is_digit)
    both = [with_context(page, each, own_weights) for page, each in zip(pages, own, strict=True)]
    return own_weights, fit(np.vstack(both), is_digit)


def with_context(page: Page, own: F64, own_weights: Sequence[float]) -> F64:
    """The features of a page's detections and of their context."""
    return np.hstack([own, context_features(page.classified, predict_logistic(own, own_weights))])


def find_rates(
    probabilities: F64, is_digit: npt.NDArray[np.bool_], pages: Sequence[Page]
) -> list[str]:
    """The fraction of the digits that is found at each number of false ones."""
    order = np.argsort(-probabilities)
    false, found = np.cumsum(~is_digit[order]), np.cumsum(is_digit[order])
    written = sum(page.written for page in pages)
    rates = []
    for limit in FALSE_PER_HUNDRED:
        last = int(np.searchsorted(false, limit * len(pages) / 100, side="right")) - 1
        rates.append(f"{found[last] / written:.1%}")
    return rates


def main() -> None:
    """Fit, measure and print."""
    options = fit_options(__doc__, 2000)
    mnist, classifier = load_digits("validation"), Classifier(options.model)
    strategy = PageStrategy(Detector())
    pages = []
    for i in tracked(range(options.count)):
        scene = compose_scene(mnist.images, mnist.labels, np.random.default_rng([SEED, i]))
        page = read_page(scene, strategy, classifier)
        if page.classified:
            pages.append(page)
    parts: list[list[F64]] = [[], [], []]
    truth = []
    for half in (0, 1):
        own_weights, context_weights = fit_both(pages[half::2])
        for page in pages[1 - half :: 2]:
            own = own_features(page.classified, page.side)
            plain = [each.detection.score * each.prediction.confidence for each in page.classified]
            parts[0].append(np.array(plain))
            parts[1].append(predict_logistic(own, own_weights))
            parts[2].append(predict_logistic(with_context(page, own, own_weights), context_weights))
            truth.append(page.is_digit)
    is_digit = np.concatenate(truth)
    names = ("score × confidence", "by itself", "in its context")
    rows = [
        [name, *find_rates(np.concatenate(each), is_digit, pages)]
        for name, each in zip(names, parts, strict=True)
    ]
    heads = ["digits found, at false ones per 100 pages:", *map(str, FALSE_PER_HUNDRED)]
    print(f"{ran_on()}; {len(pages)} pages with detections\n\n{table(heads, rows)}\n")
    for name, weights in zip(("OWN_WEIGHTS", "CONTEXT_WEIGHTS"), fit_both(pages), strict=True):
        print(f"{name} = ({', '.join(f'{weight:.3f}' for weight in weights)})")


if __name__ == "__main__":
    main()
