"""``digitkit train``."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from digitkit.cli import show
from digitkit.cli.exit_codes import INTERRUPTED
from digitkit.cli.options import complete_model
from digitkit.cli.train_report import print_summary
from digitkit.errors import ConfigError, RecipeError, needs_extra
from digitkit.models.calibration import MIN_CALIBRATION_IMAGES
from digitkit.system.tables import Table

if TYPE_CHECKING:
    from digitkit.training.recipes import Recipe
    from digitkit.training.run import TrainConfig
    from digitkit.training.steps import StepConfig, StepTask

    Task = StepTask[Any, Any]

EXAMPLES = """\
[bold]Examples[/]

digitkit train — a good net in a minute or two

digitkit train --recipe article — the classic Keras article, reproduced

digitkit train --epochs 12 --set ema=0.995 --set augmentation.rotate=15

digitkit train --data my-digits --init runs/quick-20260101-120000

digitkit train --init digits --data corrections — fine-tunes the shipped model; minutes

digitkit train --resume runs/best-20260101-120000

digitkit train --recipe finder --out runs/finder — the net that detects digits on pages; 75 minutes

digitkit train --recipe lines --out runs/lines — the net that reads rows as a whole; 45 minutes

digitkit train --recipe grey --out runs/grey — the net that reads poor images; 40 minutes

[bold]Why the article's learning rate is 1.0[/]

The article's code sets none, and Keras's default for Adadelta was 1.0 then. Today it is 0.001, \
with which the same code ends at 81.5% after ten epochs; so the recipes article and \
article-minimal set 1.0, with Keras's rho 0.95 and epsilon 1e-7. The notebook docs/article.ipynb \
shows step by step what the article's layers do to the picture of a digit.
"""


RECIPE_NAMES = (
    *("quick", "best", "best-tiny", "pages", "fine-tune", "article", "article-minimal", "finder"),
    *("lines", "grey"),
)
"""What the shell offers: the recipes themselves load torch."""


def complete_recipe(incomplete: str) -> list[str]:
    """The names of recipes that begin so."""
    return [name for name in RECIPE_NAMES if name.startswith(incomplete)]


def command(
    recipe: Annotated[
        str | None,
        typer.Option(
            help="Recipe to train by; --list shows them.",
            metavar="NAME",
            autocompletion=complete_recipe,
            show_default="quick; fine-tune with --init of a model or --data of corrections",
        ),
    ] = None,
    list_: Annotated[
        bool, typer.Option("--list", help="List the recipes and the fields of --recipe, and exit.")
    ] = False,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="FIELD=VALUE",
            help="Change a field of the recipe; repeatable: net, optimizer, augmentation.rotate …",
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Passes over the training images (--set epochs=N).")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Images per step (--set batch_size=N).")
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Peak learning rate (--set learning_rate=X).")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of all randomness (--set seed=N).")] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Train on this instead of MNIST: IDX files named as MNIST's, or one folder per "
            "class (0 … 9) of images of any size and polarity. With train and test folders of "
            "that kind the second is the test set, else 15% are held out. With fine-tune also a "
            "folder of digitkit corrections, in which classes may be missing.",
        ),
    ] = None,
    init: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN|NAME|FILE",
            help="Start from the weights of this run, of a shipped model (digits, digits-tiny) or "
            "of an .onnx file of digitkit in fp32 (fine-tuning), and keep its temperature and "
            f"threshold if there are fewer than {MIN_CALIBRATION_IMAGES:,} validation images.",
            autocompletion=complete_model,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Run folder; runs/RECIPE-DATE by default."),
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Resume an interrupted training.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the run that --out already contains.")
    ] = False,
    threads: Annotated[int, typer.Option(help="CPU threads; 0 for all cores.")] = 0,
) -> None:
    """Train a net by a recipe, on MNIST or on your own digits.

    The run folder gets model.safetensors, run.json (all settings, and the results of every epoch),
    curves.png and confusion.png. Validation images are split off the training set; they decide
    which epoch is kept (unless the recipe keeps the last one) and, if they are enough, calibrate
    the confidence. The test set is used once, at the end.

    The recipe fine-tune continues the training of a model or a run. It mixes MNIST into your
    images, so that nothing is forgotten, and keeps temperature and threshold. If MNIST's test set
    is then read less well by more than 0.1 percentage points, the exit code is 3, and digitkit
    export and --init refuse the run.
    """
    # OpenMP's threads spin while they wait for each other. If another program needs the cores, that
    # brings a training to a standstill; spinning less costs a tenth and shares fairly.
    os.environ.setdefault("GOMP_SPINCOUNT", "5000")
    try:
        from digitkit.training import recipes
        from digitkit.training.folder import default_out
        from digitkit.training.run import TrainConfig, fit_to_start
    except ImportError as error:
        raise needs_extra(error.name or "torch", "training") from error
    if resume is not None:
        unused: dict[str, object] = {
            "--recipe": recipe, "--list": list_ or None, "--set": set_, "--epochs": epochs,
            "--batch-size": batch_size, "--learning-rate": learning_rate, "--seed": seed,
            "--data": data, "--init": init, "--out": out, "--overwrite": overwrite or None,
            "--threads": threads or None,
        }  # fmt: skip
        _refuse(unused, "cannot be used with --resume, which continues a training as it began")
        _resume(resume)
        return
    if recipe is None:
        recipe = _default_recipe(init, data)
    if task := step_tasks().get(recipe):
        unused = {"--epochs": epochs, "--learning-rate": learning_rate, "--data": data}
        _refuse(unused, f"cannot be used with the recipe {recipe}")
        given: _Shortcuts = {"--batch-size": ("batch", batch_size), "--seed": ("seed", seed)}
        with _named_as_typed(given):
            fields = task.parse_changes(_parse_changes(set_ or [], given))
            steps = task.config(
                out or Path("runs") / recipe, init=init, threads=threads, overwrite=overwrite,
                **fields,
            )  # fmt: skip
        if list_:
            _list(recipe, {field: getattr(steps, field) for field in task.fields})
        else:
            _train_steps(task, steps)
        return
    given = {
        "--epochs": ("epochs", epochs), "--batch-size": ("batch_size", batch_size),
        "--learning-rate": ("learning_rate", learning_rate), "--seed": ("seed", seed),
    }  # fmt: skip
    changes = _parse_changes(set_ or [], given)
    with _named_as_typed(given):
        chosen = recipes.override(recipes.get_recipe(recipe), changes)
    folder = out or default_out(chosen)
    config = TrainConfig(chosen, changes, folder, data, init, threads, overwrite)
    if list_:
        _list(recipe, _recipe_fields(fit_to_start(config)[0].recipe))
    else:
        _train(folder, config)


def _default_recipe(init: Path | None, data: Path | None) -> str:
    """The recipe where none is named."""
    from digitkit.datasets.corrections import is_corrections_folder
    from digitkit.training.recipes import FINE_TUNE
    from digitkit.training.start import is_model

    corrects = data is not None and is_corrections_folder(data)
    return FINE_TUNE if corrects or (init is not None and is_model(init)) else "quick"


def _refuse(options: Mapping[str, object], reason: str) -> None:
    """Raise `ConfigError` if any of these options is given; None stands for an omitted one."""
    given = [option for option, value in options.items() if value is not None]
    if given:
        raise ConfigError(f"{', '.join(given)} {reason}")


def _resume(folder: Path) -> None:
    """Resume the training in a folder, by steps or by epochs."""
    tasks = [task for task in step_tasks().values() if (folder / task.weights).is_file()]
    if tasks:
        _train_steps(tasks[0], folder)
    else:
        _train(folder, None)


def _resume_command(folder: Path) -> str:
    return f"digitkit train --resume {shlex.quote(str(folder))}"


def _train(folder: Path, config: TrainConfig | None) -> None:
    """Train by `config`, or resume the training in `folder`."""
    from digitkit.cli.training_progress import TrainingProgress
    from digitkit.training import run

    with TrainingProgress() as watcher:
        try:
            done = run.train(config, watcher) if config else run.resume(folder, watcher)
        except KeyboardInterrupt:
            watcher.stop()
            _stop(f"{_resume_command(folder)} continues after the last complete epoch")
    if not watcher.has_begun:
        show.print_line(f"{folder} is complete: nothing was trained now. Its results:", error=True)
    print_summary(done)


def _stop(hint: str) -> NoReturn:
    show.print_line(f"stopped; {hint}", error=True)
    raise typer.Exit(INTERRUPTED) from None


def step_tasks() -> dict[str, Task]:
    """What is trained by steps, by the names of the recipes."""
    from digitkit.training.detector_training import DETECTOR
    from digitkit.training.grey_training import GREY
    from digitkit.training.line_training import LINES

    return {task.recipe: task for task in (DETECTOR, LINES, GREY)}


def _train_steps(task: Task, work: StepConfig | Path) -> None:
    """Train a net by steps and export it, or resume the training in a folder."""
    from digitkit.export.detector_export import DETECTOR_EXPORT
    from digitkit.export.grey_export import GREY_EXPORT
    from digitkit.export.line_export import LINE_EXPORT
    from digitkit.training.steps import SAVED_STEPS, StepProgress, resume_steps, train_steps

    folder = work if isinstance(work, Path) else work.out
    weights = folder / task.weights

    def written() -> int:
        return weights.stat().st_mtime_ns if weights.is_file() else 0

    begun = 0 if isinstance(work, Path) else written()

    def report(progress: StepProgress) -> None:
        means = "  ".join(f"{name} {value:.4f}" for name, value in progress.terms.items())
        line = f"step {progress.step:,}/{progress.steps:,}  {means}"
        times = f"{progress.seconds:.0f} s, {progress.seconds_left:.0f} s left"
        print(f"{line}  {times}", file=sys.stderr, flush=True)

    exports = {one.task.recipe: one.run for one in (DETECTOR_EXPORT, LINE_EXPORT, GREY_EXPORT)}
    try:
        with show.progress() as prepare:
            if isinstance(work, Path):
                resume_steps(task, work, report, prepare)
            else:
                train_steps(task, work, report, prepare)
        path = exports[task.recipe](folder)
    except KeyboardInterrupt:
        if written() == begun:
            _stop("nothing is kept")
        _stop(
            f"{_resume_command(folder)} continues from the last saved step (one in {SAVED_STEPS})"
        )
    show.print_line(f"written to {path}; the shipped {task.noun} is exported/{path.name}")


_Shortcuts = Mapping[str, tuple[str, int | float | None]]
"""Options, each with the field of the recipe that it stands for, and its value; None if omitted."""


def _parse_changes(pairs: list[str], shortcuts: _Shortcuts) -> dict[str, str]:
    """Recipe fields to new values, from ``--set`` and from options of their own."""
    changes = {}
    for pair in pairs:
        field, equals, value = pair.partition("=")
        if not equals:
            raise RecipeError(f"--set {pair} must be FIELD=VALUE")
        changes[field.strip()] = value.strip()
    for option, (field, given) in shortcuts.items():
        if given is None:
            continue
        if field in changes:
            raise RecipeError(f"{option} and --set {field} are the same; give one of them")
        changes[field] = str(given)
    return changes


@contextmanager
def _named_as_typed(shortcuts: _Shortcuts) -> Iterator[None]:
    """Errors of a recipe's fields name the options that set them."""
    try:
        yield
    except RecipeError as error:
        if error.field is not None:
            options = (
                option
                for option, (field, given) in shortcuts.items()
                if field == error.field and given is not None
            )
            error.field = next(options, f"--set {error.field}")
        raise


def _recipe_fields(recipe: Recipe) -> dict[str, object]:
    """What ``--set`` can change, and its values."""
    fields = {k: v for k, v in vars(recipe).items() if k not in ("name", "version", "summary")}
    augmentation = fields.pop("augmentation")
    return fields | {f"augmentation.{name}": value for name, value in vars(augmentation).items()}


def _list(name: str, fields: dict[str, object]) -> None:
    """List the recipes, and the fields of the one of this name."""
    from digitkit.training.nets import build_net, parameter_count
    from digitkit.training.recipes import RECIPES

    rows = [
        (
            f"{recipe.name} v{recipe.version}",
            recipe.net,
            f"{parameter_count(build_net(recipe.net)):,}",
            str(recipe.epochs),
            recipe.summary,
        )
        for recipe in RECIPES.values()
    ]
    rows += [
        (
            f"{task.recipe} v{task.version}",
            task.kind,
            f"{parameter_count(task.build()):,}",
            "–",
            task.summary,
        )
        for task in step_tasks().values()
    ]
    show.print_table(Table(("recipe", "net", ">parameters", ">epochs", "description"), tuple(rows)))
    print(f"Fields of {name} that --set changes:")
    for field, value in fields.items():
        print(f"  {field}={f'{value:.4g}' if isinstance(value, float) else value}")
