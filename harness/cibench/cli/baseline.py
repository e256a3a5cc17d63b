"""The commands `cibench baseline save`, `remove`, `list` and `show`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

baselines = typer.Typer(help="Save, list, show and remove baselines.", no_args_is_help=True)
Root = Annotated[Path, typer.Option("--baselines", help="The folder that holds baselines.")]
HERE = Path("baselines")


@baselines.command("save")
def save(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    name: Annotated[str, typer.Argument(help="Its name: a path below baselines/.")],
    replace: Annotated[bool, typer.Option("--replace", help="Replace one of that name.")] = False,
    root: Root = HERE,
) -> None:
    """Save a run as a baseline: a small folder that is committed and works on other machines."""
    from cibench.gate import baseline
    from cibench.results.api import load

    whole = load(run)
    saved = baseline.save(whole, name, root, replace=replace)
    for line in baseline.unanswered(whole, few=True):
        typer.echo(f"warning: {line}", err=True)
    size = sum(path.stat().st_size for path in saved.folder.iterdir())
    typer.echo(f"baseline: {saved.folder} ({size / 1024:.0f} kB)")


@baselines.command("remove")
def remove(
    name: Annotated[str, typer.Argument(help="A baseline's name, or what several lie below.")],
    root: Root = HERE,
) -> None:
    """Remove a baseline's own files, or those of all below a name, and nothing else."""
    from cibench.gate import baseline

    for folder in baseline.remove(name, root):
        typer.echo(f"removed: {folder}")


@baselines.command("list")
def list_(root: Root = HERE) -> None:
    """List the baselines: suite, seed, replicates, when they were made and with which cibench."""
    from cibench.gate import baseline
    from cibench.gate.output.terminal import show_baselines
    from cibench.render.terminal import console

    rows = []
    for entry in baseline.saved_baselines(root):
        about = entry.about
        facts = {name: about[name] for name in ("suite", "seed", "replicates", "created")}
        version = about["versions"].get("cibench", "")
        rows.append({"baseline": str(entry.folder.relative_to(root)), **facts, "cibench": version})
    show_baselines(console(), rows)


@baselines.command("show")
def show(
    name: Annotated[str, typer.Argument(help="A baseline's name or folder.")], root: Root = HERE
) -> None:
    """Show a baseline: what it was made with, and its scores."""
    from cibench.analysis.expectations import judge_expectations
    from cibench.cli.display import show_table
    from cibench.gate import baseline
    from cibench.render.terminal import console
    from cibench.storage.manifest import read_suite

    loaded = baseline.load(name, root)
    about, out = loaded.about, console()
    versions = ", ".join(f"{k} {v}" for k, v in about["versions"].items())
    for what, value in (
        ("suite", about["suite"]), ("seed", about["seed"]), ("replicates", about["replicates"]),
        ("created", about["created"]), ("versions", versions), ("platform", about["platform"]),
        ("Python", about["python"]), ("protocol", about["protocol"]), ("digest", about["digest"]),
    ):  # fmt: skip
        out.print(f"{what:10}  {value}", markup=False)
    out.print("")
    catalogue = about["catalogue"]
    judged = judge_expectations(loaded.scores, catalogue, read_suite(loaded.folder))
    show_table(loaded.scores, judged, catalogue)
