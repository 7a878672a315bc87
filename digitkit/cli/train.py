"""``digitkit train``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digitkit.cli import show
from digitkit.errors import RecipeError, RunError, needs_extra

if TYPE_CHECKING:
    from digitkit.training.folder import Run
    from digitkit.training.recipes import Recipe

EXAMPLES = """\
[bold]Examples[/]

digitkit train — a good net in a minute or two

digitkit train --recipe article — the classic Keras article, reproduced

digitkit train --epochs 12 --set ema=0.995 --set augmentation.rotate=15

digitkit train --data my-digits --init runs/quick-20260101-120000

digitkit train --resume runs/best-20260101-120000

digitkit train --recipe finder --out runs/finder — the net that finds digits on pages; an hour

[bold]Why the article's learning rate is 1.0[/]

The article's code passes none, and Keras's Adadelta once meant 1.0 by that. Today it means 0.001, \
with which the same code ends at 81.5% after ten epochs; so the recipes article and \
article-minimal say 1.0, with Keras's rho 0.95 and epsilon 1e-7.
"""


def command(
    recipe: Annotated[
        str, typer.Option(help="Recipe to train by; --list shows them.", metavar="NAME")
    ] = "quick",
    list_: Annotated[
        bool, typer.Option("--list", help="List the recipes and the fields of --recipe, and leave.")
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
        int | None, typer.Option(help="Images a step (--set batch_size=N).")
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Peak learning rate (--set learning_rate=X).")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of all chance (--set seed=N).")] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Train on this instead of MNIST: IDX files named as MNIST's, or one folder a "
            "class (0 … 9) of images of any size and polarity. With train/ and test/ folders of "
            "that kind the second is the test set, else 15% are held out as one.",
        ),
    ] = None,
    init: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Start from the weights of this run (fine-tuning)."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Run folder; runs/RECIPE-DATE by default."),
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Go on with an interrupted training.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the run that --out already holds.")
    ] = False,
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0 for all cores.")] = 0,
) -> None:
    """Train a net by a recipe, on MNIST or on your own digits.

    The run folder gets model.safetensors, run.json (all that decided the training, and every
    epoch's figures), curves.png and confusion.png. Validation images are split off the training
    set; they decide which epoch is kept (or the last one is: the recipe says) and calibrate the
    confidence. The test set is read once, at the end.
    """
    # OpenMP's threads spin while they wait for each other. Where another program wants the cores,
    # that brings a training to a standstill; spinning less costs a tenth and shares fairly.
    os.environ.setdefault("GOMP_SPINCOUNT", "5000")
    try:
        from digitkit.training import recipes, run
        from digitkit.training.folder import default_out
        from digitkit.training.run import TrainConfig, train
    except ImportError as error:
        raise needs_extra(error.name or "torch", "training") from error
    if recipe == "finder" and not list_:
        refused = {
            "--epochs": epochs, "--learning-rate": learning_rate, "--data": data,
            "--resume": resume,
        }  # fmt: skip
        for name, given_too in refused.items():
            if given_too is not None:
                raise RecipeError(f"{name} doesn't go with the recipe finder")
        changes = _overrides(set_ or [], batch=batch_size, seed=seed)
        _train_finder(changes, out or Path("runs/finder"), init, threads, overwrite)
        return
    changes = _overrides(
        set_ or [], epochs=epochs, batch_size=batch_size, learning_rate=learning_rate, seed=seed
    )
    chosen = recipes.override(
        recipes.get_recipe("quick" if recipe == "finder" else recipe), changes
    )
    if list_:
        _list(recipes.RECIPES, chosen)
        return
    if resume is not None:
        given: dict[str, object] = {"--data": data, "--init": init, "--out": out, "--set": changes}
        given |= {"--overwrite": overwrite, "--threads": threads}
        for option, value in given.items():
            if value:
                raise RunError(
                    f"--resume goes on as the training began; {option} and other options that "
                    "change it don't go with it"
                )
    from digitkit.cli.training_progress import TrainingProgress

    folder = resume or out or default_out(chosen)
    with TrainingProgress() as watcher:
        try:
            if resume is not None:
                done = run.resume(folder, watcher)
            else:
                config = TrainConfig(chosen, changes, folder, data, init, threads, overwrite)
                done = train(config, watcher)
        except KeyboardInterrupt:
            watcher.stop()
            show.err().print(
                f"stopped; digitkit train --resume {folder} goes on after the last whole epoch",
                soft_wrap=True,
            )
            raise typer.Exit(130) from None
    _summary(done)


def _train_finder(
    changes: dict[str, str], out: Path, init: Path | None, threads: int, overwrite: bool
) -> None:
    """The net that finds digits has a loop of its own."""
    from digitkit.export.detector import export_run
    from digitkit.training.detector import WEIGHTS, DetectorConfig, train_detector

    values = {}
    for field, text in changes.items():
        if field not in ("steps", "batch", "seed", "workers"):
            raise RecipeError(f"{field}: the recipe finder has steps, batch, seed and workers")
        least = 0 if field in ("seed", "workers") else 1
        if not text.isdecimal() or int(text) < least:
            raise RecipeError(f"{field}={text}: needed is a whole number, from {least}")
        values[field] = int(text)
    if (out / WEIGHTS).exists() and not overwrite:
        raise RunError(f"{out}: holds a finder already; --overwrite replaces it, or name another")
    config = DetectorConfig(out, init=init, threads=threads, **values)

    def report(step: int, parts: dict[str, float], seconds: float) -> None:
        means = "  ".join(f"{name} {value:.4f}" for name, value in parts.items())
        left = seconds / step * (config.steps - step)
        line = f"step {step:,}/{config.steps:,}  {means}  {seconds:.0f} s, {left:.0f} s left"
        print(line, file=sys.stderr, flush=True)

    try:
        train_detector(config, report)
        path = export_run(out)
    except KeyboardInterrupt:
        kept = "its weights of the last 500 steps are kept" if config.steps > 500 else ""
        print(f"stopped; {kept or 'nothing is kept'}", file=sys.stderr)
        raise typer.Exit(130) from None
    print(f"written to {path}; exported/{path.name} is the one that ships")


def _overrides(pairs: list[str], **shortcuts: object) -> dict[str, str]:
    changes = {}
    for pair in pairs:
        field, equals, value = pair.partition("=")
        if not equals:
            raise RecipeError(f"--set {pair}: needed is FIELD=VALUE")
        changes[field.strip()] = value.strip()
    for field, given in shortcuts.items():
        if given is None:
            continue
        if field in changes:
            raise RecipeError(f"{field} is given twice: by --set and by an option of its own")
        changes[field] = str(given)
    return changes


def _list(all_recipes: dict[str, Recipe], chosen: Recipe) -> None:
    from digitkit.training.nets import build_net, parameter_count

    table = show.table("recipe", "net", ">parameters", ">epochs", "what it is")
    for one in all_recipes.values():
        parameters = parameter_count(build_net(one.net))
        table.add_row(
            f"{one.name} v{one.version}", one.net, f"{parameters:,}", str(one.epochs), one.summary
        )
    from digitkit.training.detector import NAME, VERSION_OF_RECIPE
    from digitkit.training.detector_net import DetectorNet

    table.add_row(
        f"{NAME} v{VERSION_OF_RECIPE}",
        "U-Net",
        f"{parameter_count(DetectorNet()):,}",
        "–",
        "finds digits on pages; 4,000 steps on synthetic ones, an hour",
    )
    console = show.out()
    console.print(table)
    fields = {k: v for k, v in vars(chosen).items() if k not in ("name", "version", "summary")}
    augmentation = fields.pop("augmentation")
    fields |= {f"augmentation.{name}": value for name, value in vars(augmentation).items()}
    console.print(f"Fields of {chosen.name}, as --set changes them:")
    for name, value in fields.items():
        text = f"{value:.4g}" if isinstance(value, float) else value
        console.print(f"  {name}={text}")


def _summary(run: Run) -> None:
    test, record = run.record["test"], run.record
    # As the article's script ends.
    print(f"Test loss: {test['loss_uncalibrated']:.4f}")
    print(f"Test accuracy: {test['accuracy']:.4f}")
    wrong = round((1 - test["accuracy"]) * test["count"])
    console = show.out()
    console.print(
        f"{run.recipe.name}: {test['accuracy']:.2%} on {record['data']['test']['name']} "
        f"({wrong} of {test['count']:,} wrong), epoch {record['best_epoch']} of "
        f"{len(record['epochs'])} kept, {record['wall_seconds']:.0f} s, "
        f"threads: {record['threads']}",
        soft_wrap=True,
    )
    console.print(f"written to {run.folder}; next: digitkit export {run.folder}", soft_wrap=True)
