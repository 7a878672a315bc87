"""The model card and the checksums beside exported models, made from what the files promise."""

from __future__ import annotations

from pathlib import Path

from digitkit.models.classifier import Classifier
from digitkit.models.contract import ModelContract
from digitkit.reading.detector import DETECTOR_FILE, Detector
from digitkit.system import atomic
from digitkit.system.hashes import file_sha256
from digitkit.system.machine import cpu_name, versions

CARD, CHECKSUMS = "MODEL_CARD.md", "SHA256SUMS"
NOTES, TRIED = "NOTES.md", "tried.png"
"""Beside the models, if somebody put them there: further text, and a picture of what was tried."""

_HEAD = """\
# Model card

These models read one handwritten digit, 0 to 9, from a 28×28 picture. `digitkit export` writes
this page from what each file promises; don't edit it.

- **Input** `image`: uint8 `[N, 1, 28, 28]`, raw grey levels, ink bright on dark, fitted into 20×20
  and centred by mass as in MNIST (`digitkit.pixels` does it). Normalisation is inside the graph.
- **Output** `probabilities`: float32 `[N, 10]`, softmax over the digits 0 to 9, given that the
  picture shows one; calibrated by a temperature fitted on validation images.
- **Output** `is_digit`, of the models of recipes that train with non-digits (`best`, `best-tiny`):
  float32 `[N]`, the probability that the picture shows a digit at all. digitkit's confidence is
  the product of both. A model without it gives ten probabilities that sum to 1 to anything.
- **Meant for** digits written by hand and shown one at a time. **Not meant for** letters, printed
  fonts, or decisions about people.
- **Trained on** MNIST (Yann LeCun, Corinna Cortes, Christopher J. C. Burges; CC BY-SA 3.0) unless
  the table says otherwise: digits of US census employees and school pupils, scanned, about 1990.
  Ways of writing that these lack (a 1 with a flag, a crossed 7) are drawn from strokes by the
  recipes `best` and `best-tiny`; ways that are neither here nor there are read less well.
- **Chosen** on validation images split off the training set; the test set was read once, at the
  end.

"""


def write_card(folder: Path) -> None:
    """Write ``MODEL_CARD.md`` and ``SHA256SUMS`` for the digitkit models in `folder`.

    Raises:
        OutputError: they cannot be written.
    """
    models: list[tuple[Path, ModelContract]] = []
    sums = ""
    for path in sorted(folder.glob("*.onnx")):
        if path.name == DETECTOR_FILE:
            sums += f"{file_sha256(path)}  {path.name}\n"
            continue
        model = Classifier(path)
        if model.contract is not None:
            models.append((path, model.contract))
            sums += f"{model.sha256}  {path.name}\n"
    text = _HEAD + _tables(models) + _pictures(folder, models) + _finder(folder / DETECTOR_FILE)
    if (folder / NOTES).is_file():
        text += "\n" + (folder / NOTES).read_text(encoding="utf-8")
    atomic.write_text(folder / CARD, text)
    atomic.write_text(folder / CHECKSUMS, sums)


def _tables(models: list[tuple[Path, ModelContract]]) -> str:
    lines = [
        "| file | bytes | parameters | multiply-adds | test accuracy | calibration error |",
        "|---|---|---|---|---|---|",
    ]
    for path, c in models:
        lines.append(
            f"| `{path.name}` | {path.stat().st_size:,} | {c.parameters:,} | {c.multiply_adds:,} "
            f"| {c.test_accuracy:.2%} of {c.test_count:,} ({c.test_data}) "
            f"| {c.calibration_error:.2%} |"
        )
    ran = versions("onnxruntime", "numpy")
    lines += [
        "",
        f"Measured by `digitkit export` with ONNX Runtime {ran['onnxruntime']}, one thread, on "
        f"{cpu_name()}; `digitkit eval FILE` measures again.",
        "",
        "| file | net | recipe | trained on | seed | temperature | threshold | made |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for path, c in models:
        changed = "" if c.overrides == "{}" else f" with {c.overrides}"
        made = f"digitkit {c.digitkit_version}"
        if c.precision == "int8":
            made += f", {c.calibration}, from the fp32 file with SHA-256 {c.parent_sha256[:12]}…"
        lines.append(
            f"| `{path.name}` | {c.architecture} | {c.recipe} version {c.recipe_version}{changed} "
            f"| {c.data} | {c.seed} | {c.temperature:.3f} | {c.min_confidence:.3f} | {made} |"
        )
    licences = ", ".join(sorted({c.licence for _, c in models}))
    lines += ["", f"Licence of the models: {licences}."]
    return "\n".join(lines) + "\n"


def _finder(path: Path) -> str:
    """What is known of the net that finds digits, where there is one."""
    if not path.is_file():
        return ""
    known = Detector(path).metadata
    return (
        f"\n## The finder\n\n`{path.name}` ({path.stat().st_size:,} bytes, "
        f"{int(known['digitkit.parameters']):,} parameters, fp32) finds the digits of a page: of a "
        "grey picture it gives maps of ink, of digits' middles and of how far each digit reaches "
        f"(`digitkit.finder`). {known['digitkit.training']} The digits on them are "
        "MNIST's training digits and digits drawn from strokes; no photograph was trained on.\n"
    )


def mistakes_name(name: str) -> str:
    """File name of the picture of a model's mistakes, `name` being that of the model."""
    return f"{name}-mistakes.png"


def _pictures(folder: Path, models: list[tuple[Path, ModelContract]]) -> str:
    lines = []
    for name in dict.fromkeys(path.stem.rsplit("-", 1)[0] for path, _ in models):
        picture = mistakes_name(name)
        if (folder / picture).is_file():
            lines += ["", f"## What {name} reads wrong", "", f"![mistakes of {name}]({picture})"]
    if (folder / TRIED).is_file():
        lines += ["", "## What was tried", "", f"![accuracy against latency]({TRIED})"]
    return "\n".join([*lines, ""]) if lines else ""
