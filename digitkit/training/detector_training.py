"""Training the detector: a small fully convolutional net that finds the digits of a page.

For every second pixel of a grey image it predicts whether it is ink of a digit (whatever the paper,
the light and the polarity) or other ink, for every fourth whether it is the centre of a digit
(CenterNet: Zhou, Wang and Krähenbühl, Objects as Points, 2019), and the distances from there to the
sides of the digit's bounding box. It is trained on `digitkit.training.scenes` alone, without the
images of MNIST that validate the classifier.

    digitkit train --recipe finder
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from msgspec import Meta
from torch import Tensor

from digitkit.system.progress import Progress
from digitkit.training.detector_data import CROP_SIDE, SceneSamples
from digitkit.training.detector_net import DetectorNet
from digitkit.training.ranges import Batch, Steps
from digitkit.training.steps import StepConfig, StepTask, fast_autocast


@dataclass(frozen=True)
class DetectorConfig(StepConfig):
    """One training of the detector, on crops of `CROP_SIDE`×`CROP_SIDE` pixels; see `StepConfig`.

    Attributes:
        first_scene: number of the first scene. Scenes of one seed are the same in all trainings; a
            training that starts from weights (`init`) should see others than these did.
    """

    steps: Steps = 14_000
    batch: Batch = 16
    first_scene: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 0


def detector_loss(net: DetectorNet, batch: list[Tensor]) -> tuple[Tensor, dict[str, float]]:
    """The loss of a batch, and its terms by name.

    Args:
        net: the detector.
        batch: as `digitkit.training.detector_data.Sample`, with N in front of each shape.
    """
    image, stroke, other, heat, reach = batch
    with fast_autocast():
        outputs = net(image[:, None])
    strokes, centre, log_reach = (output.float() for output in outputs)
    ink, other_ink, centre = strokes[:, 0], strokes[:, 1], centre[:, 0]
    cross_entropy = F.binary_cross_entropy_with_logits(ink, stroke, pos_weight=torch.tensor(3.0))
    p = torch.sigmoid(ink)
    other_entropy = F.binary_cross_entropy_with_logits(
        other_ink, other, pos_weight=torch.tensor(2.0)
    )
    dice = 1 - (2 * (p * stroke).sum() + 1) / (p.sum() + stroke.sum() + 1)
    # The focal loss of CenterNet, equation 1.
    q = torch.sigmoid(centre).clamp(1e-5, 1 - 1e-5)
    is_centre = heat >= 1
    gain = torch.where(
        is_centre, (1 - q) ** 2 * torch.log(q), (1 - heat) ** 4 * q**2 * torch.log(1 - q)
    ) * (heat >= 0)
    focal = -gain.sum() / is_centre.sum().clamp(min=1)
    inside = reach[:, 4]
    box = (F.smooth_l1_loss(log_reach, reach[:, :4], reduction="none").sum(1) * inside).sum()
    box = box / inside.sum().clamp(min=1)
    total = 4 * cross_entropy + other_entropy + 0.5 * dice + 0.5 * focal + 2 * box
    terms = {
        "ink": cross_entropy.item(), "other": other_entropy.item(), "dice": dice.item(),
        "centre": focal.item(), "reach": box.item(),
    }  # fmt: skip
    return total, terms


def _samples(config: DetectorConfig, step: int, prepare: Progress) -> SceneSamples:
    return SceneSamples(config.seed, first=config.first_scene + step * config.batch)


DETECTOR = StepTask(
    recipe="finder",
    version=5,
    noun="detector",
    samples_noun=f"crops of {CROP_SIDE}×{CROP_SIDE} pixels",
    summary=f"detects digits on pages; {DetectorConfig.steps:,} steps, 75 minutes",
    kind="U-Net",
    config=DetectorConfig,
    build=DetectorNet,
    samples=_samples,
    loss=detector_loss,
)
"""The training of the detector."""
