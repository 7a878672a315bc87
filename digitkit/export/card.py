"""The model card and the checksums next to exported models, generated from their contracts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from digitkit.errors import ModelError, to_json
from digitkit.models.classifier import Classifier
from digitkit.models.contract import DEFAULT_MIN_CONFIDENCE, ModelContract
from digitkit.models.network import Network
from digitkit.models.registry import CHECKSUMS
from digitkit.models.session import load_onnxruntime
from digitkit.reading.networks.detector import Detector
from digitkit.reading.networks.grey_classifier import GreyClassifier
from digitkit.reading.networks.line_reader import LineReader
from digitkit.system import atomic
from digitkit.system.hashes import file_sha256
from digitkit.system.machine import cpu_name

CARD = "MODEL_CARD.md"
NOTES, TRIED = "NOTES.md", "tried.png"
"""Optional files next to the models: more text for the card, and a figure of the nets tried."""

MNIST, MNIST_TEST, HUB_MNIST = "MNIST train", "MNIST test", "ylecun/mnist"
"""How contracts name MNIST's two sets, and how model hubs name both."""

UNFITTED = {
    "init": "those of the run that the training started from",
    "default": f"the defaults, 1 and {DEFAULT_MIN_CONFIDENCE}",
}
"""What temperature and threshold are where validation images were too few to fit them, by the
contract's `confidence_source`."""

_HEAD = """\
# Model card

These models read one handwritten digit, 0 to 9, from a 28×28 image. `digitkit export` generates
this page from the models' metadata; do not edit it.

- **Input** `image`: uint8 `[N, 1, 28, 28]`, raw grey levels, ink bright on dark, fitted into 20×20
  pixels and centred by mass as in MNIST (`digitkit.images` does it). Normalisation is inside the
  graph.
- **Output** `probabilities`: float32 `[N, 10]`, softmax over the digits 0 to 9, given that the
  image shows one; calibrated by a temperature fitted on validation images, unless noted below.
- **Output** `is_digit`, only for recipes that train with non-digits (`best`, `best-tiny`,
  `pages`): float32 `[N]`, the probability that the image shows a digit at all. digitkit's
  confidence is the product of both. A model without it gives ten probabilities that sum to 1 for
  any image.
- **Intended use**: single digits written by hand. **Not intended for** letters, printed fonts, or
  decisions about people.
- **Training data**: MNIST (Yann LeCun, Corinna Cortes, Christopher J. C. Burges; CC BY-SA 3.0)
  unless the table says otherwise: digits written by US census employees and school pupils, scanned
  around 1990. The recipes `best`, `best-tiny` and `pages` add digits drawn from strokes, in styles
  that MNIST lacks (a 1 with a flag, a crossed 7); `pages` adds digits of synthetic pages. Styles
  that are in neither are read less well.
- **Selection**: on validation images split off the training set; the test set was used once, at
  the end.

"""


def write_card(folder: Path) -> None:
    """Write ``MODEL_CARD.md`` and ``SHA256SUMS`` for the digitkit models in `folder`.

    Other networks in it are left out.

    Raises:
        OutputError: the files cannot be written.
    """
    models: list[tuple[Path, ModelContract]] = []
    sums = ""
    for path in sorted(folder.glob("[!.]*.onnx")):
        if path.name in [kind.file for kind, *_ in _NETWORKS]:
            sums += f"{file_sha256(path)}  {path.name}\n"
            continue
        try:
            model = Classifier(path)
        except ModelError:
            continue  # not a digit model
        if model.contract is not None:
            models.append((path, model.contract))
            sums += f"{model.sha256}  {path.name}\n"
    text = (
        _front_matter(models)
        + _HEAD
        + _tables(models)
        + _figures(folder, models)
        + "".join(_network(folder / kind.file, kind, *words) for kind, *words in _NETWORKS)
    )
    if (folder / NOTES).is_file():
        text += "\n" + (folder / NOTES).read_text(encoding="utf-8", errors="replace")
    atomic.write_text(folder / CHECKSUMS, sums)
    atomic.write_text(folder / CARD, text)


def _front_matter(models: list[tuple[Path, ModelContract]]) -> str:
    """The card's metadata in YAML, as model hubs read it (huggingface.co/docs/hub/model-cards)."""
    licences = sorted({c.licence.lower() for _, c in models})
    facts: dict[str, object] = {
        "license": licences[0] if len(licences) == 1 else licences,
        "library_name": "onnx",
        "pipeline_tag": "image-classification",
        "tags": ["digits", "handwriting", "mnist", "onnx", "int8", "edge", "digitkit"],
        "metrics": ["accuracy"],
    }
    if any(c.data == MNIST for _, c in models):
        facts["datasets"] = [HUB_MNIST]
    facts["model-index"] = [
        {
            "name": path.stem,
            "results": [
                {
                    "task": {"type": "image-classification"},
                    "dataset": {
                        "type": HUB_MNIST if c.test_data == MNIST_TEST else "other",
                        "name": c.test_data,
                        "split": "test",
                    },
                    "metrics": [{"type": "accuracy", "value": round(c.test_accuracy, 6)}],
                }
            ],
        }
        for path, c in models
    ]
    # Each line's value is JSON, which is YAML.
    lines = [f"{name}: {to_json(value)}" for name, value in facts.items()]
    return "\n".join(["---", *lines, "---", "", ""])


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
    lines += [
        "",
        f"Measured by `digitkit export` with ONNX Runtime {load_onnxruntime().__version__}, one "
        f"thread, on {cpu_name()}; `digitkit eval FILE` repeats the measurement.",
        "",
        "| file | net | recipe | trained on | seed | temperature | threshold | exported by |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for path, c in models:
        changed = "" if c.overrides == "{}" else f" with {c.overrides}"
        origin = f"digitkit {c.digitkit_version}"
        if c.precision == "int8":
            origin += f", {c.calibration}, from the fp32 file with SHA-256 {c.parent_sha256[:12]}…"
        lines.append(
            f"| `{path.name}` | {c.architecture} | {c.recipe} version {c.recipe_version}{changed} "
            f"| {c.data} | {c.seed} | {c.temperature:.3f} | {c.min_confidence:.3f} | {origin} |"
        )
    for source, words in UNFITTED.items():
        if names := [f"`{path.name}`" for path, c in models if c.confidence_source == source]:
            lines += [
                "",
                f"Temperature and threshold of {', '.join(names)} are {words}: there were too few "
                "validation images to fit them on.",
            ]
    licences = ", ".join(sorted({c.licence for _, c in models}))
    lines += ["", f"Licence of the models: {licences}."]
    return "\n".join(lines) + "\n"


def _network(path: Path, kind: type[Network], title: str, reads: str, trained: str) -> str:
    """The section on a network next to the classifiers; empty if there is none that loads.

    Args:
        path: its file.
        kind: what loads it.
        title: of the section.
        reads: what it does, in words that follow its name.
        trained: what it was trained on, after how it was.
    """
    if not path.is_file():
        return ""
    try:
        metadata = kind(path).metadata
    except ModelError:
        return ""
    return (
        f"\n## {title}\n\n{_file_facts(path, metadata)} {reads} "
        f"{metadata['digitkit.training']} {trained}\n"
    )


_NETWORKS: tuple[tuple[type[Network], str, str, str], ...] = (
    (
        Detector,
        "The detector",
        "finds the digits of a page: for a grey image it predicts maps of their ink, of other ink, "
        "of their centres and of their bounding boxes (`digitkit.reading.networks.detector`).",
        "The digits in them are MNIST's training digits, digits drawn from strokes, and digits, "
        "words and signs of handwriting fonts; it was not trained on photographs.",
    ),
    (
        LineReader,
        "The line reader",
        "reads rows of digits as a whole: for every second column of a level row it predicts the "
        "digit whose middle it is, or a sign, a decimal separator, or none; and whether a digit "
        "there is struck out or written over, or is a letter "
        "(`digitkit.reading.networks.line_reader`).",
        "The digits are those of the detector's scenes, but for the twelfth of MNIST's training "
        "digits that validates `digits`, which is left out.",
    ),
    (
        GreyClassifier,
        "The grey classifier",
        "reads the pixels of a digit that stands alone, where its ink cannot be extracted well, "
        "and of those on a page with few, to tell them from letters and drawings: for a grey "
        "image of any size, fitted into 40×40, it predicts the probabilities of the ten digits "
        "and of none (`digitkit.reading.networks.grey_classifier`).",
        "The digits are those of the line reader; letters, signs, parts of digits, objects and "
        "empty paper are what it learnt to reject.",
    ),
)


def _file_facts(path: Path, metadata: Mapping[str, str]) -> str:
    parameters = int(metadata["digitkit.parameters"])
    return f"`{path.name}` ({path.stat().st_size:,} bytes, {parameters:,} parameters, fp32)"


def mistakes_name(name: str) -> str:
    """File name of the figure of a model's mistakes; `name` is without precision and suffix."""
    return f"{name}-mistakes.png"


def _figures(folder: Path, models: list[tuple[Path, ModelContract]]) -> str:
    lines = []
    for name in dict.fromkeys(path.stem.rsplit("-", 1)[0] for path, _ in models):
        figure = mistakes_name(name)
        if (folder / figure).is_file():
            lines += ["", f"## Mistakes of {name}", "", f"![mistakes of {name}]({figure})"]
    if (folder / TRIED).is_file():
        lines += ["", "## Nets that were tried", "", f"![accuracy against latency]({TRIED})"]
    return "\n".join([*lines, ""]) if lines else ""
