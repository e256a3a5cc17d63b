"""Write a vendor bundle: data sets, question and commitments in a folder, truths elsewhere."""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cibench.challenge.anonymise import PILOT, Released, released
from cibench.challenge.disclosure import Limits
from cibench.challenge.documents import (
    Question,
    data_text,
    decimals_of,
    question_of,
    readme,
    rounded,
)
from cibench.challenge.effects import assign_effects, choose_effects
from cibench.challenge.sealed_truths import COMMITMENTS, DATA, Owner, Sealed
from cibench.challenge.soundness import REASONS, audit_failures
from cibench.model.streams import stream
from cibench.twins.file import sealed
from cibench.twins.sample import drawn_from
from cibench.twins.scenario import targets_of, truths_of
from cibench.twins.twin import Twin
from cibench.utils.errors import BadInput
from cibench.utils.files import (
    check_folders,
    check_new,
    csv_text,
    json_text,
    prepared_folder,
    put_folder,
    write_text,
)
from cibench.utils.leftovers import clear, leftovers
from cibench.utils.sealing import Seal, fingerprint, nonce

Say = Callable[[str], object]


@dataclass(frozen=True)
class Wish:
    """Hold what an owner asks of a bundle; None stands for the default.

    A twin whose audit fails is bundled `although_failed` alone, and marked as such.
    """

    effects: tuple[float, ...] | None = None
    datasets: int | None = None
    rows: int | None = None
    limits: Limits = field(default_factory=Limits)
    cost: float = 0.0
    better: str = "higher"
    although_failed: bool = False


@dataclass(frozen=True, eq=False)
class Bundle:
    """Hold a bundle before it is written: its files by name, and what stays with the owner.

    See `write_bundle` for the whole way.
    """

    files: dict[str, str]
    owner: Owner
    released: Released
    question: Question


def check_places(out: Path, owner: Path, page: Path | None = None) -> None:
    """Raise BadInput for an owner's file within the bundle, or a place that is taken or missing.

    What a killed process left of a bundle that never came to its place goes first.
    """
    _undo_interrupted(out, owner, page)
    check_new(out)
    for place in (owner, page):
        if place and place.resolve().is_relative_to(out.resolve()):
            raise BadInput(f"{place}: what is the owner's must not lie in the bundle")
    check_folders(out, owner, page)
    if owner.exists():
        raise BadInput(f"{owner} exists; it may be all that is left of another bundle's truths")


def make_bundle(twin: Twin, wish: Wish, name: str, say: Say = lambda _: None) -> Bundle:
    """Draw all data sets and seal their truths; raises BadInput for wishes that will not do.

    And for a twin whose audit fails, with the reasons, unless the wish says that it may.

    See `write_bundle` for the whole way.
    """
    wish.limits.check(twin)
    secret = nonce()
    effects = choose_effects(twin, wish.effects, stream("bundle-effects", secret))
    planted = assign_effects(effects, wish.datasets, stream("bundle-order", secret))
    rows = wish.rows or int(float(f"{twin.seed['rows']:.1e}"))  # as the seed, but not to the row
    failures = _failures(twin, rows, wish, say)
    release = released(twin, wish.limits, stream("bundle-release", secret))
    sealed_twin = sealed(release.twin)
    pilot = drawn_from(sealed_twin, PILOT, 0.0, stream("bundle-pilot", secret))
    decimals = decimals_of(sealed_twin, pilot)
    datasets, files = list[Sealed](), dict[str, str]()
    for number, effect in enumerate(planted, 1):
        label, address = f"dataset-{number:02d}", ("bundle", secret, str(number))
        drawn = rounded(
            sealed_twin, drawn_from(sealed_twin, rows, effect, stream(*address)), decimals
        )
        text = data_text(sealed_twin, drawn)
        files[DATA.format(name=label)] = text
        datasets.append(_seal(sealed_twin, label, effect, text, address))
        say(f"data set {number} of {len(planted)}")
    _check_truths(twin, datasets)
    question = question_of(sealed_twin, _heading(files))
    provenance = {
        "twin": twin.digest, "family": twin.family, "rows": rows, "secret": secret,
        "estimate": float(twin.seed["effect"]), "cell": wish.limits.cell,
        "allowed": sorted(wish.limits.allowed), "labels": release.labels, "notes": release.notes,
        "audit": failures,
    }  # fmt: skip
    owner = Owner(name, tuple(datasets), wish.cost, wish.better, provenance)
    files |= _papers(question, datasets, rows, wish, failed=bool(failures))
    return Bundle(files, owner, Released(sealed_twin, release.notes, release.labels), question)


def _failures(twin: Twin, rows: int, wish: Wish, say: Say) -> tuple[str, ...]:
    """Return why the twin's audit fails; raises BadInput where it does and that was not allowed."""
    say("the twin's audit")
    failures = audit_failures(twin, rows)
    if failures and not wish.although_failed:
        more = f"and {len(failures) - REASONS} more: cibench twin audit has them all"
        raise BadInput(
            f"{twin.name}: its audit fails, so no bundle of it is fit; mend the twin, or "
            "--although-failed, which marks the bundle as failed",
            *(f"  {line}" for line in failures[:REASONS]),
            *([f"  {more}"] if len(failures) > REASONS else []),
        )
    return failures


def _seal(twin: Twin, label: str, effect: float, text: str, address: tuple[str, ...]) -> Sealed:
    truth = truths_of(twin, effect)[targets_of(twin)[0]]
    parts: dict[str, Any] = {
        "name": label, "estimand": str(targets_of(twin)[0].estimand), "truth": float(truth.value),
        "truth_mcse": float(truth.mcse), "data_sha256": fingerprint(text.encode()),
        "nonce": nonce(), "effect": effect, "address": address,
    }  # fmt: skip
    return Sealed(**parts, commitment=Seal.of(Sealed(**parts, commitment="").content).commitment)


def _check_truths(twin: Twin, datasets: Sequence[Sealed]) -> None:
    """Raise BadInput where a bounded outcome turned an effect into zero or the seed's estimate."""
    for dataset in datasets:
        if dataset.effect and dataset.truth == 0:
            raise BadInput(f"--effects: {dataset.effect:g} moves no outcome within its bounds")
        if dataset.truth and dataset.truth == float(twin.seed["effect"]):
            raise BadInput(f"--effects: {dataset.effect:g} is the seed's own estimate")


def _heading(files: dict[str, str]) -> dict[str, Any]:
    first = next(iter(files.values())).split("\n", 1)[0]
    return dict.fromkeys(next(csv.reader([first])))


def _papers(
    question: Question, datasets: Sequence[Sealed], rows: int, wish: Wish, *, failed: bool
) -> dict[str, str]:
    schema = {
        "estimand": question.estimand, "question": question.words, "design": question.design,
        "columns": question.columns,
    }  # fmt: skip
    seals = [[d.name, d.commitment, d.data_sha256] for d in datasets]
    blank = [[d.name, "", "", "", ""] for d in datasets]
    return {
        "README.md": readme(question, len(datasets), rows, wish.cost, wish.better, failed=failed),
        "schema.json": json_text(schema),
        COMMITMENTS: csv_text([["dataset", "sha256", "data_sha256"], *seals]),
        "submission.csv": csv_text([["dataset", "estimate", "low", "high", "decision"], *blank]),
    }


def write_bundle(
    bundle: Bundle, out: Path, owner: Path, page: tuple[Path, str] | None = None
) -> None:
    r"""Write folder and owner's file, both or none; raises BadInput where a place will not do.

    `out` is the folder that vendors get, and the last that comes to its place; `owner` the file
    with the truths, which stays with its owner, as does a `page`, a path and its text. `verify`
    compares what is revealed later with what was sealed.

    >>> import numpy as np, pandas as pd
    >>> from pathlib import Path
    >>> from cibench.twins import fit_twin, read_seed
    >>> from cibench.twins.design import Design
    >>> rng = np.random.default_rng(1)
    >>> x, age = rng.normal(size=400), rng.normal(40, 9, 400)
    >>> y = 1 + x + 0.1 * age + rng.normal(size=400)
    >>> table = pd.DataFrame({"x": x, "d": (x >= 0).astype(int), "age": age, "y": y})
    >>> table.to_csv("seed.csv", index=False)
    >>> design = Design("rd", "y", treatment="d", running="x", cutoff=0.0)
    >>> seed = read_seed(Path("seed.csv"), design)
    >>> twin = fit_twin(seed, "gaussian")
    >>> from cibench.challenge import Owner, make_bundle, read_submission, write_bundle
    >>> from cibench.challenge.bundle import Wish
    >>> bundle = make_bundle(twin, Wish(datasets=4, rows=300), "trial")
    >>> write_bundle(bundle, Path("trial"), Path("trial.owner.json"))
    >>> owner = Owner.read(Path("trial.owner.json"))
    >>> answers = "dataset,estimate,low,high\ndataset-01,0.4,0.1,0.7\ndataset-02,0,-0.3,0.3\n"
    >>> _ = Path("vendor.csv").write_text(answers)
    >>> len(read_submission(Path("vendor.csv"), owner).answers)
    2
    """
    check_places(out, owner, page[0] if page else None)
    with prepared_folder(out, bundle.files) as ready:
        bundle.owner.write(owner)
        try:
            if page:
                write_text(*page, private=True)
            put_folder(ready, out)
        except BaseException:
            for place in (page[0] if page else owner, owner):
                place.unlink(missing_ok=True)
            raise


def _undo_interrupted(out: Path, owner: Path, page: Path | None) -> None:
    """Remove what a killed process left of a bundle before it was in its place.

    An owner's file goes only where the very bundle whose truths it holds lies whole beside that
    place: nobody was given it.
    """
    for left in leftovers(out.parent, out.name):
        with contextlib.suppress(BadInput, OSError):
            Owner.read(owner).check_bundle(left)
            for place in (page or owner, owner):
                place.unlink(missing_ok=True)
    for place in filter(None, (out, owner, page)):
        clear(place.parent, place.name)
