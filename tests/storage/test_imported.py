import functools
import importlib
import json
import sys
import types
from importlib.metadata import packages_distributions, version
from itertools import count

import numpy as np
import pytest

from cibench.model import registry
from cibench.model.estimands import Estimand
from cibench.model.method import Estimator
from cibench.model.types import Estimate
from cibench.storage import imported, installed
from cibench.utils.names import canonical_name

ATE = (Estimand.ATE,)
_numbers = count()


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Give a function that writes a package `name` below a folder of the path, and its name.

    Names are new ones each time: what a process has loaded it keeps.
    """
    before = set(sys.modules)

    def write(folder="checkout", **files):
        name = f"mypackage{next(_numbers)}"
        root = tmp_path / folder
        monkeypatch.syspath_prepend(str(root))
        for file, text in {
            "__init__": "",
            "core": "def mean(x):\n    return x.mean()\n",
            **files,
        }.items():
            path = root / name / f"{file}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.replace("NAME", name))
        importlib.invalidate_caches()
        return name

    yield write
    for name in set(sys.modules) - before:
        if name.startswith("mypackage"):
            del sys.modules[name]


@pytest.fixture
def seen(shelves):
    """Give a function that registers a fit and returns what it rests on."""

    def look(fit, name="made/method", module=None):
        method = Estimator(name, fit, ATE)
        home = module or getattr(fit, "__module__", None) or __name__
        registry._shelves["estimator"][name] = registry.Entry(name, method, home, "fit")
        imported.forget()
        return imported.imported_by((f"estimator {name}",))

    return look


def edit(name, text="# another\n"):
    path = installed._places(name)[0] / "core.py"
    path.write_text(path.read_text() + text)


def test_what_a_fit_uses_is_listed_by_distribution_and_what_else_is_loaded_is_not(seen):
    import hypothesis  # noqa: F401 - the session has it, the fit does not
    import pandas

    def fit(problem, rng):
        return Estimate.wald(pandas.Series(problem.outcome).mean(), 1.0, 0.95)

    known = seen(fit)
    assert {"numpy", "pandas", "python-dateutil", "six"} <= set(known["versions"])
    assert not {"hypothesis", "pytest", "rich", "typer"} & set(known["versions"])
    assert known["unobserved"] == []
    for name, number in known["versions"].items():
        assert number == version(name)


def test_modules_belong_to_whom_importlib_says():
    owners = installed._index().by_module
    for module, names in packages_distributions().items():
        assert {each.name for each in owners[module]} == set(map(canonical_name, names)), module


def test_an_import_within_a_function_counts(seen, package):
    name = package()
    space = {"importlib": importlib}
    exec(f"def fit(problem, rng):\n    from {name} import core\n    return core\n", space)
    importlib.import_module(f"{name}.core")
    assert name in seen(space["fit"])["digests"]


def test_a_checkout_counts_by_its_files(seen, package):
    name = package(__init__="__version__ = '1.4'\n")
    core = importlib.import_module(f"{name}.core")

    def fit(problem, rng):
        return core.mean(problem.outcome)

    before = seen(fit)
    assert before["versions"][name] == "1.4"
    assert before["digests"][name]["used_by"] == ["estimator made/method"]
    assert seen(fit) == before
    edit(name)
    after = seen(fit)
    assert after["versions"] == before["versions"]
    assert after["digests"][name]["digest"] != before["digests"][name]["digest"]


def test_data_and_line_endings_and_what_is_no_part_of_a_package(seen, package):
    name = package()
    core = importlib.import_module(f"{name}.core")
    folder = installed._places(name)[0]

    def digest():
        return seen(lambda problem, rng: core.mean(problem.outcome))["digests"][name]["digest"]

    first = digest()
    for place in (".git", "__pycache__", ".venv", "baselines/main", "env"):
        (folder / place).mkdir(parents=True)
        (folder / place / "x.py").write_text("1")
    (folder / "env" / "pyvenv.cfg").touch()
    (folder / "core.pyc").write_bytes(b"1")
    assert digest() == first
    text = (folder / "core.py").read_bytes()
    (folder / "core.py").write_bytes(text.replace(b"\n", b"\r\n"))
    assert digest() == first
    (folder / "table.csv").write_text("1,2\n")
    assert digest() != first


def test_more_than_anybody_would_read_is_not_known(seen, package, monkeypatch):
    name = package()
    core = importlib.import_module(f"{name}.core")
    monkeypatch.setattr(installed, "MOST_BYTES", 10)
    assert seen(lambda problem, rng: core)["digests"][name]["digest"] is None
    monkeypatch.setattr(installed, "MOST_BYTES", 10**6)
    monkeypatch.setattr(installed, "MOST_FILES", 1)
    assert seen(lambda problem, rng: core)["digests"][name]["digest"] is None


def test_links_that_go_round_end(seen, package):
    name = package()
    core = importlib.import_module(f"{name}.core")
    (installed._places(name)[0] / "again").symlink_to(installed._places(name)[0])
    assert seen(lambda problem, rng: core)["digests"][name]["digest"]


def test_a_package_that_imports_another_checkout_brings_it_along(seen, package):
    other = package("elsewhere")
    name = package(core=f"def mean(x):\n    import {other}.core as core\n    return core.mean(x)\n")
    core = importlib.import_module(f"{name}.core")
    core.mean(np.zeros(2))
    assert {name, other} <= set(seen(lambda problem, rng: core.mean(1))["digests"])


@pytest.mark.parametrize("wrap", ["partial", "class", "object", "method"])
def test_however_a_fit_is_wrapped(seen, package, wrap):
    name = package(core="class Model:\n    def fit(self, problem, rng):\n        return 1\n"
                   "def fit(problem, rng, scale):\n    return scale\n")  # fmt: skip
    core = importlib.import_module(f"{name}.core")
    fits = {
        "partial": functools.partial(core.fit, scale=2), "class": core.Model,
        "object": core.Model(), "method": core.Model().fit,
    }  # fmt: skip
    assert name in seen(fits[wrap])["digests"]


def test_modules_without_a_spec_and_code_without_a_module(seen, package):
    name = package()
    core = importlib.import_module(f"{name}.core")
    sys.modules[name].__spec__ = core.__spec__ = None
    odd = types.ModuleType("mypackage_odd")
    odd.__spec__ = odd.__name__ = None
    sys.modules["mypackage_odd"], sys.modules["mypackage_none"] = odd, None
    functions = {"core": core, "odd": odd}
    exec("def fit(problem, rng):\n    return core.mean(problem.outcome), odd\n", functions)
    functions["fit"].__module__ = None
    known = seen(functions["fit"], module=__name__)
    assert name in known["digests"] and known["unobserved"] == []


def test_files_that_are_gone_meanwhile(seen, package):
    import shutil

    name = package()
    core = importlib.import_module(f"{name}.core")
    folder = installed._places(name)[0]
    (folder / "core.py").unlink()
    assert seen(lambda problem, rng: core)["digests"][name]["digest"]
    shutil.rmtree(folder)
    known = seen(lambda problem, rng: core)
    assert known["digests"][name]["digest"] is None and known["unobserved"] == []


def test_a_finder_that_raises_and_an_object_that_does(seen, monkeypatch):
    class Finder:
        def find_spec(self, name, path=None, target=None):
            raise RuntimeError("no")

    class Odd:
        def __getattribute__(self, name):
            raise RuntimeError("no")

    odd = Odd()
    monkeypatch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])
    known = seen(lambda problem, rng: (odd, np.mean(1)))
    assert known["versions"]["numpy"] and known["unobserved"] == []
    assert installed.digest_of(["mypackage_that_is_nowhere"]) is None


def test_what_nobody_can_look_into_is_said_to_be_unobserved(seen, monkeypatch):
    monkeypatch.setattr(imported, "_observed", lambda names: 1 / 0)
    known = seen(lambda problem, rng: 1)
    assert known == {**imported.NOTHING, "unobserved": ["estimator made/method"]}


@pytest.mark.parametrize("editable", [True, False])
def test_installed_from_a_folder_counts_by_its_files_however(seen, package, tmp_path, editable):
    """A version says all of what an index handed out alone: of no checkout, of no local build."""
    name = package("checkout" if editable else "site-packages")
    site = tmp_path / "site-packages"
    about = site / f"{name}-2.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}-Dist\nVersion: 2.0\n\nText"
    )
    (about / "RECORD").write_text(f"_{name}.pth,,\n" if editable else f"{name}/__init__.py,,\n")
    direct = {"url": (tmp_path / "checkout").as_uri(), "dir_info": {"editable": editable}}
    (about / "direct_url.json").write_text(json.dumps(direct))
    sys.path.insert(0, str(site))
    installed._index.cache_clear()
    try:
        core = importlib.import_module(f"{name}.core")
        known = seen(lambda problem, rng: core)
        assert known["versions"][f"{name}-dist"] == "2.0"
        assert known["digests"][f"{name}-dist"]["digest"]
        (about / "direct_url.json").unlink()
        installed._index.cache_clear()
        again = installed.package_of(name)
        assert again.fixed is not editable
    finally:
        sys.path.remove(str(site))
        installed._index.cache_clear()


def test_cibench_itself_counts_by_its_files_where_it_is_a_checkout_without_its_plug_ins(seen):
    known = seen(lambda problem, rng: 1)
    package = installed.package_of("cibench")
    assert ("cibench" in known["digests"]) is not package.fixed
    assert known["digests"].get("cibench", {"used_by": []})["used_by"] == []
    (folder,) = installed._places("cibench")
    files = [name for name, _ in installed._files(folder, installed.PLUGINS["cibench"])]
    assert "storage/installed.py" in files
    assert not [n for n in files if n.startswith(("scenarios/", "estimators/"))]


def test_two_processes_are_joined_and_differing_ones_show_both():
    one = {
        "versions": {"a": "1"},
        "digests": {"a": {"digest": "x", "modules": ["a"], "used_by": ["estimator a/b"]}},
        "unobserved": [],
    }
    two = {
        "versions": {"a": "2", "b": "1"},
        "digests": {"a": {"digest": "y", "modules": ["a"], "used_by": ["estimator a/c"]}},
        "unobserved": ["c"],
    }
    both = imported.joined(one, two)
    assert both == {
        "versions": {"a": "1, 2", "b": "1"},
        "unobserved": ["c"],
        "digests": {
            "a": {"digest": "x, y", "modules": ["a"], "used_by": ["estimator a/b", "estimator a/c"]}
        },
    }
    assert imported.joined(both, one) == both == imported.joined(two, one)
    unknown = {
        "versions": {},
        "unobserved": [],
        "digests": {"a": {"digest": None, "modules": ["a"], "used_by": []}},
    }
    assert imported.joined(one, unknown)["digests"]["a"]["digest"] is None


def test_it_costs_a_block_next_to_nothing(seen):
    from time import perf_counter

    seen(lambda problem, rng: np.mean(1))
    started = perf_counter()
    for _ in range(1000):
        imported.imported_by(("estimator made/method",))
    assert (perf_counter() - started) / 1000 < 1e-4
