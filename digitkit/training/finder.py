"""The finder: a small fully convolutional net that finds the digits of a page.

Of a grey picture it says for every second pixel whether it is ink of a digit (whatever the paper,
the light and the polarity), for every fourth whether it is the middle of a digit (CenterNet: Zhou,
Wang and Krähenbühl, Objects as Points, 2019), and how far that digit reaches from there. It is
trained on `digitkit.training.scenes` alone.

    digitkit train --recipe finder
"""

from __future__ import annotations

import copy
import os
import pickle
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.utils.data import DataLoader, IterableDataset

from .. import __version__, atomic, datasets, graph, pixels
from .. import finder as runtime
from .._opencv import cv2
from ..errors import GateError, RunError, one_line
from ..export import to_onnx_program
from ..finder import CENTRE, FILE, INK, INPUT, OUTPUTS, STEP, VERSION
from .loop import Average
from .run import using_threads
from .scenes import Scene, scene

CROP = 320
"""Side of the pictures that are trained on, pixels."""

SIZES = (9, 140)
"""Least and greatest side of digits that the net is to find, pixels; greater ones are found in a
reduced picture. Up to half as large again, either answer is right."""

PARITY = 1e-3
"""Gate: largest difference of a probability between torch and ONNX Runtime."""


def _conv(
    inside: int, outside: int, kernel: int = 3, stride: int = 1, groups: int = 1
) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(inside, outside, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU(inplace=True),
    )


def _separable(channels: int, kernel: int = 3) -> nn.Module:
    return nn.Sequential(
        _conv(channels, channels, kernel, groups=channels), _conv(channels, channels, 1)
    )


class Net(nn.Module):
    """A U-Net (Ronneberger, Fischer and Brox, 2015) of separable convolutions, down to 1/16."""

    def __init__(self, widths: tuple[int, int, int, int] = (16, 32, 48, 64)) -> None:
        """Build it.

        Args:
            widths: channels at 1/2, 1/4, 1/8 and 1/16 of the picture's size.
        """
        super().__init__()
        a, b, c, d = widths
        self.down2 = nn.Sequential(nn.PixelUnshuffle(2), _conv(4, a))
        self.down4 = nn.Sequential(_conv(a, b, stride=2), _separable(b))
        self.down8 = nn.Sequential(_conv(b, c, stride=2), _separable(c), _separable(c))
        self.down16 = nn.Sequential(
            _conv(c, d, stride=2), _separable(d, 5), _separable(d, 5), _separable(d, 5)
        )
        self.up8, self.at8 = _conv(d, c, 1), _separable(c)
        self.up4, self.at4 = _conv(c, b, 1), _separable(b)
        self.place = nn.Sequential(_separable(b), nn.Conv2d(b, 5, 1))
        # Four values a cell, laid out as two by two: a layer at half size would cost a third of
        # the whole net's time.
        self.stroke = nn.Sequential(_separable(b), nn.Conv2d(b, 4, 1), nn.PixelShuffle(2))
        with torch.no_grad():
            self.stroke[1].bias.fill_(-3.0)  # type: ignore[operator]
            self.place[1].bias[0] = -4.0  # type: ignore[operator]
            self.place[1].bias[1:] = 1.0  # type: ignore[operator]

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits of ink and of centres, and the logarithm of how far boxes reach, quarter pixels.

        Args:
            image: ``[N, 1, H, W]`` grey levels of 0 to 255; H and W multiples of 16.

        Returns:
            float32 ``[N, 1, H/2, W/2]``, ``[N, 1, H/4, W/4]`` and ``[N, 4, H/4, W/4]``: left,
            top, right, bottom.
        """
        quarter = self.down4(self.down2((image.float() - 128) / 48))
        eighth = self.down8(quarter)
        deep = self.down16(eighth)
        eighth = self.at8(eighth + _twice(self.up8(deep)))
        quarter = self.at4(quarter + _twice(self.up4(eighth)))
        place = self.place(quarter)
        return self.stroke(quarter), place[:, :1], place[:, 1:]


def _twice(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


class _Deployed(nn.Module):
    """The net as it is shipped: probabilities, boxes in pixels, no batch normalisation."""

    def __init__(self, net: Net) -> None:
        super().__init__()
        self.net = copy.deepcopy(net).eval().requires_grad_(False)
        for block in self.net.modules():
            if not isinstance(block, nn.Sequential) or len(block) < 2:
                continue
            first, second = block[0], block[1]
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                block[0], block[1] = fuse_conv_bn_eval(first, second), nn.Identity()

        first = self.net.down2[1][0]  # type: ignore[index]
        self.net.down2 = nn.Sequential(_unshuffled(first), nn.ReLU())

    def forward(self, page: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        ink, centre, reach = self.net(page.to(torch.float32))
        return torch.sigmoid(ink), torch.sigmoid(centre), torch.exp(reach) * CENTRE


def _unshuffled(conv: nn.Conv2d) -> nn.Conv2d:
    """One convolution of stride 2 that does what unshuffling and a convolution of 3×3 did."""
    wide = conv.out_channels
    made = nn.Conv2d(1, wide, 6, stride=2, padding=2)
    with torch.no_grad():
        weight = conv.weight.view(wide, 2, 2, 3, 3).permute(0, 3, 1, 4, 2)
        made.weight.copy_(weight.reshape(wide, 1, 6, 6))
        assert made.bias is not None
        assert conv.bias is not None
        made.bias.copy_(conv.bias)
    return made


def export(net: Net, path: Path, training: str) -> None:
    """Write the net as ``finder.onnx``, checked against torch on a scene.

    Args:
        net: trained.
        path: of the file.
        training: a sentence on how it was trained, kept in the file.

    Raises:
        GateError: ONNX Runtime gives other maps than torch.
        OutputError: it cannot be written.
    """
    deployed = _Deployed(net)
    # A batch of 1 is what it is for; height and width vary by multiples of 16.
    rows, columns = torch.export.Dim("rows", min=1), torch.export.Dim("columns", min=1)
    example = torch.zeros(1, 1, 12 * STEP, 9 * STEP, dtype=torch.uint8)
    model = to_onnx_program(
        deployed, example, [INPUT], list(OUTPUTS), {2: STEP * rows, 3: STEP * columns}
    )
    _scale_by_two(model)
    metadata = {
        "digitkit.finder": VERSION,
        "digitkit.digitkit_version": __version__,
        "digitkit.licence": "MIT",
        "digitkit.parameters": str(graph.facts(model).parameters),
        "digitkit.training": training,
    }
    with tempfile.TemporaryDirectory() as scratch:
        trial = Path(scratch, path.name)
        trial.write_bytes(graph.to_bytes(model, metadata))
        mnist = datasets.load_mnist("train")
        made = scene(mnist.images, mnist.labels, np.random.default_rng(0), sides=(300, 400))
        plain = pixels.grey(made.image)[:288, :208]
        plain = np.ascontiguousarray(
            plain[: len(plain) // STEP * STEP, : plain.shape[1] // STEP * STEP]
        )
        maps = runtime.Finder(trial).maps(plain)
        with torch.no_grad():
            truth = deployed(torch.from_numpy(plain.copy())[None, None])
        for name, given, wanted in zip(
            OUTPUTS, (maps.ink, maps.centre, maps.reach), truth, strict=True
        ):
            difference = float(np.abs(given - wanted[0].numpy().reshape(given.shape)).max())
            if difference > (PARITY if name != "reach" else 100 * PARITY):
                raise GateError(f"{path}: parity failed: {name} differs by {difference:.1e}")
        atomic.write_bytes(path, trial.read_bytes())


def _scale_by_two(model: onnx.ModelProto) -> None:
    """Resize by a constant factor, not to a size computed from shapes: ONNX Runtime keeps its own
    memory layout over the first kind, and reorders twice around the second.
    """
    factor = onnx.numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "twice")
    nodes = model.graph.node
    for node in nodes:
        if node.op_type == "Resize":
            node.input[:] = [node.input[0], "", "twice"]
    model.graph.initializer.append(factor)
    while True:
        used = {name for node in nodes for name in node.input} | set(OUTPUTS)
        idle = [node for node in nodes if not used & set(node.output)]
        if not idle:
            break
        for node in idle:
            nodes.remove(node)
    graph.tidy(model)


# --- what is learnt --------------------------------------------------------------------------

Sample = tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32], npt.NDArray[np.float32],
               npt.NDArray[np.float32]]  # fmt: skip
"""The picture; where ink is; how near a middle is, or -1 where that does not matter; and how far
the digit reaches, with where that is to be learnt as the fifth."""


def samples_of(made: Scene, rng: np.random.Generator, count: int) -> Iterator[Sample]:
    """Cut pieces of `CROP` out of a scene, at a random scale, with what the net should say."""
    ratio = float(np.exp(rng.uniform(np.log(0.55), np.log(1.2))))
    plain = pixels.grey(made.image)
    size = (max(16, round(plain.shape[1] * ratio)), max(16, round(plain.shape[0] * ratio)))
    plain, ink = (
        np.asarray(cv2.resize(x, size, interpolation=cv2.INTER_AREA), np.uint8)
        for x in (plain, made.ink)
    )
    boxes = np.array([*made.boxes, *made.cut], np.float32).reshape(-1, 4) * ratio
    for _ in range(count):
        x = int(rng.integers(0, max(1, size[0] - CROP + 1)))
        y = int(rng.integers(0, max(1, size[1] - CROP + 1)))
        if rng.random() < 0.1:
            x, y = x - int(rng.integers(0, 40)), y - int(rng.integers(0, 40))
        yield _sample(plain, ink, boxes, x, y)


def _sample(
    plain: pixels.U8, ink: pixels.U8, boxes: npt.NDArray[np.float32], x: int, y: int
) -> Sample:
    image, inked = (_cut(a, x, y, how) for a, how in
                    ((plain, cv2.BORDER_REPLICATE), (ink, cv2.BORDER_CONSTANT)))  # fmt: skip
    small = cv2.resize(inked, (CROP // INK, CROP // INK), interpolation=cv2.INTER_AREA)
    stroke = (small > 60).astype(np.float32)
    side = CROP // CENTRE
    heat, reach = np.zeros((side, side), np.float32), np.zeros((5, side, side), np.float32)
    either = np.zeros((side, side), bool)
    at = np.arange(side, dtype=np.float32) + 0.5
    for bx, by, bw, bh in boxes:
        left, top = max(bx - x, 0.0) / CENTRE, max(by - y, 0.0) / CENTRE
        right, bottom = min(bx + bw - x, CROP) / CENTRE, min(by + bh - y, CROP) / CENTRE
        w, h = right - left, bottom - top
        if w <= 0 or h <= 0 or w * h * CENTRE**2 < 0.3 * bw * bh:
            continue
        size = float(max(bw, bh))
        if not SIZES[0] <= size <= SIZES[1]:
            if size < 1.5 * SIZES[1]:
                either[int(top) : int(bottom) + 1, int(left) : int(right) + 1] = True
            continue
        dx, dy = at - (left + right) / 2, at - (top + bottom) / 2
        # As wide as a digit is: a 1 has a narrow middle.
        sx, sy = max(0.7, 0.14 * w), max(0.7, 0.14 * h)
        spot = np.exp(-(dx[None, :] ** 2) / (2 * sx**2) - dy[:, None] ** 2 / (2 * sy**2))
        # The cell that the middle lies in is the one that must be found.
        spot[min(int((top + bottom) / 2), side - 1), min(int((left + right) / 2), side - 1)] = 1
        near = (spot > 0.3) & (spot > heat)
        values = np.stack(np.broadcast_arrays(
            at[None, :] - left, at[:, None] - top, right - at[None, :], bottom - at[:, None]
        ))  # fmt: skip
        reach[:4, near] = np.log(np.maximum(values, 0.3))[:, near]
        reach[4, near] = 1
        heat = np.maximum(heat, spot)
    heat[either & (heat < 0.5)] = -1
    return image, stroke, heat, reach


def _cut(image: pixels.U8, x: int, y: int, how: int) -> pixels.U8:
    h, w = image.shape
    left, top = max(-x, 0), max(-y, 0)
    right, bottom = max(x + CROP - w, 0), max(y + CROP - h, 0)
    part = image[max(y, 0) : y + CROP, max(x, 0) : x + CROP]
    return np.asarray(cv2.copyMakeBorder(part, top, bottom, left, right, how, value=0), np.uint8)


class _Scenes(IterableDataset[Sample]):
    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __iter__(self) -> Iterator[Sample]:
        cv2.setNumThreads(1)
        info = torch.utils.data.get_worker_info()
        worker = info.id if info else 0
        mnist = datasets.load_mnist("train")
        i = 0
        while True:
            rng = np.random.default_rng([self.seed, worker, i])
            made = scene(mnist.images, mnist.labels, rng, sides=(300, 720))
            yield from samples_of(made, rng, 2)
            i += 1


def loss_of(net: Net, batch: list[Tensor]) -> tuple[Tensor, dict[str, float]]:
    """The loss of a batch, and its parts."""
    image, stroke, heat, reach = batch
    ink, centre, log_reach = net(image[:, None])
    ink, centre = ink[:, 0], centre[:, 0]
    ones = F.binary_cross_entropy_with_logits(ink, stroke, pos_weight=torch.tensor(3.0))
    p = torch.sigmoid(ink)
    dice = 1 - (2 * (p * stroke).sum() + 1) / (p.sum() + stroke.sum() + 1)
    # The focal loss of CenterNet, equation 1.
    q = torch.sigmoid(centre).clamp(1e-5, 1 - 1e-5)
    found = heat >= 1
    gain = torch.where(
        found, (1 - q) ** 2 * torch.log(q), (1 - heat) ** 4 * q**2 * torch.log(1 - q)
    ) * (heat >= 0)
    focal = -gain.sum() / found.sum().clamp(min=1)
    inside = reach[:, 4]
    far = (F.smooth_l1_loss(log_reach, reach[:, :4], reduction="none").sum(1) * inside).sum()
    far = far / inside.sum().clamp(min=1)
    total = 4 * ones + 0.5 * dice + 0.5 * focal + 2 * far
    parts = {"ink": ones.item(), "dice": dice.item(), "centre": focal.item(), "reach": far.item()}
    return total, parts


NAME, VERSION_OF_RECIPE = "finder", 1
"""What ``digitkit train --recipe`` calls it, and what goes up when it gives something else."""

WEIGHTS = "finder.pt"

DECAY = 0.998
"""Of the average of the weights that is kept, a step."""


@dataclass(frozen=True)
class FinderConfig:
    """One training of the finder.

    Attributes:
        out: the run folder; gets ``finder.pt`` every 500 steps, and ``finder.onnx`` at the end.
        steps: batches to learn from.
        batch: pieces of `CROP`×`CROP` pixels in each.
        seed: of weights and scenes.
        init: a run folder to go on from; None begins anew.
        threads: of the net; 0 for all cores. Scenes are composed in `workers` further processes.
        workers: processes that compose scenes; 0 composes them in this one.
    """

    out: Path
    steps: int = 4000
    batch: int = 16
    seed: int = 0
    init: Path | None = None
    threads: int = 0
    workers: int = 2


Report = Callable[[int, dict[str, float], float], None]
"""Told every 100 steps: the step, the parts of the loss since the last time, seconds so far."""


def train(config: FinderConfig, report: Report) -> Path:
    """Train a finder and export it.

    Returns:
        ``finder.onnx``.

    Raises:
        RunError: `config.init` is no finder's run folder.
        GateError: ONNX Runtime gives other maps than torch.
        OutputError: the run folder cannot be written.
    """
    with using_threads(config.threads or os.cpu_count() or 1):
        _fit(config, report)
    return export_run(config.out)


def _fit(config: FinderConfig, report: Report) -> None:
    torch.manual_seed(config.seed)
    net = Net()
    training = f"for {config.steps:,} steps of {config.batch} pieces of {CROP}×{CROP} pixels"
    training += f" (seed {config.seed})"
    if config.init:
        before = _loaded(config.init / WEIGHTS)
        net.load_state_dict(before["net"])
        training = f"{before['training']}, then {training}"
    # Channels last is half again as fast on a CPU.
    net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = Average(net, DECAY)
    optimiser = torch.optim.AdamW(net.parameters(), 3e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, 4e-3, total_steps=config.steps, pct_start=0.1 if config.init else 0.3
    )
    loader = DataLoader(
        _Scenes(config.seed),
        config.batch,
        num_workers=config.workers,
        prefetch_factor=4 if config.workers else None,
    )
    begun = time.monotonic()
    sums: dict[str, float] = {}
    for step, batch in enumerate(loader, 1):
        total, parts = loss_of(net, batch)
        optimiser.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimiser.step()
        schedule.step()
        average.update(net, step)
        for name, value in parts.items():
            sums[name] = sums.get(name, 0.0) + value / 100
        if step % 100 == 0:
            report(step, sums, time.monotonic() - begun)
            sums = {}
        if step % 500 == 0 or step == config.steps:
            with atomic.replacing(config.out / WEIGHTS) as temporary:
                torch.save({"net": average.net.state_dict(), "training": training}, temporary)
        if step == config.steps:
            break


def export_run(folder: Path) -> Path:
    """Export what a run has trained to its ``finder.onnx``; raises like `train`."""
    saved = _loaded(folder / WEIGHTS)
    net = Net()
    net.load_state_dict(saved["net"])
    training = f"Trained {saved['training']}, on scenes that `digitkit.training.scenes` composes."
    export(net, folder / FILE, training)
    return folder / FILE


def _loaded(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise RunError(f"{path}: is missing; needed is the run folder of a finder")
    try:
        saved: dict[str, Any] = torch.load(path, weights_only=True)
        return {"net": saved["net"], "training": str(saved["training"])}
    except (RuntimeError, KeyError, EOFError, pickle.UnpicklingError) as error:
        raise RunError(f"{path}: is no finder's weights: {one_line(error)}") from error
