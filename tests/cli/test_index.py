"""What `cibench list` and `show` keep between calls: it never says what is no longer so."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from cibench.cli import index, listing

ENGINE = Path(__file__).parents[2] / "harness" / "cibench"
RUN = "import sys; from cibench.cli import main; main(sys.argv[1:])"
BOTH = """
import io, json
from contextlib import redirect_stdout, suppress
from cibench.cli import main
with redirect_stdout(io.StringIO()) as out, suppress(SystemExit):
    main(["list", "--json"])
from cibench.cli.listing import listing
print(json.dumps([json.loads(out.getvalue()), listing()]))
"""
"""Lists, and asks the registry after that."""

PLUGIN = '''"""A method of another package."""
from cibench import Estimand, Estimate, estimator

@estimator("third/party", targets=(Estimand.ATE,))
def party(problem, rng):
    """WORDS."""
    return Estimate.wald(0.0, 1.0, problem.level)
'''

pytestmark = pytest.mark.skipif(
    bool(entry_points(group="cibench")), reason="a package here registers plug-ins: none are kept"
)


@dataclass
class Installation:
    """Have a copy of cibench, a folder of other packages and a cache."""

    root: Path

    def __post_init__(self):
        self.package, self.site = self.root / "lib" / "cibench", self.root / "site"
        self.cache = self.root / "cache"
        path = os.pathsep.join((str(self.package.parent), str(self.site)))
        self.environment = {**os.environ, "PYTHONPATH": path, "XDG_CACHE_HOME": str(self.cache)}

    def python(self, *arguments, **environment):
        ran = subprocess.run(
            [sys.executable, *arguments], capture_output=True, text=True, check=False,
            env=self.environment | environment,
        )  # fmt: skip
        assert (ran.returncode, ran.stderr) == (0, ""), ran.stderr
        return ran.stdout

    def listed(self, *flags, **environment):
        """Return what `list` says, from what is kept or not, and what the registry says."""
        return json.loads(self.python(*flags, "-c", BOTH, **environment))

    def files(self):
        return sorted(self.cache.rglob("*")) if self.cache.is_dir() else []

    def kept(self):
        (path,) = self.cache.glob("cibench/*.json")
        return path

    def parts(self):
        listing, pages = self.kept().read_bytes().splitlines()[1:]
        return json.loads(listing), json.loads(pages)

    def mark(self):
        """Change a word of what is kept, so that one sees whether it is what is listed."""
        shelves, pages = self.parts()
        shelves["scenarios"][0]["about"] = "as it was kept"
        pages["rd/cct-1"]["lines"].append("as it was kept")
        text = json.dumps(shelves).encode() + b"\n" + json.dumps(pages).encode()
        self.kept().write_bytes(hashlib.blake2b(text).hexdigest().encode() + b"\n" + text)

    def is_marked(self, shelves):
        return shelves["scenarios"][0]["about"] == "as it was kept"

    def install(self, version, words):
        """Install another package with a plug-in, as pip lays it out."""
        self.uninstall()
        info = self.site / f"third_party-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: third-party\nVersion: {version}\n"
        )
        (info / "entry_points.txt").write_text("[cibench]\nthird = third_party\n")
        (self.site / "third_party.py").write_text(PLUGIN.replace("WORDS", words))

    def uninstall(self):
        shutil.rmtree(self.site, ignore_errors=True)


def checkout(what):
    """Return what the checkout's own registry says, in a process that no test's plug-ins reach."""
    code = f"import json; from cibench.cli.listing import *; print(json.dumps({what}))"
    return json.loads(subprocess.check_output([sys.executable, "-c", code], text=True))


@pytest.fixture(scope="module")
def installation(tmp_path_factory):
    """Copy the package once and list it, so that it is kept; mark what is kept."""
    made = Installation(tmp_path_factory.mktemp("installation"))
    shutil.copytree(ENGINE, made.package, ignore=shutil.ignore_patterns("__pycache__"))
    assert not made.files()
    kept, live = made.listed()
    assert kept == live == checkout("listing()")
    made.mark()
    shutil.copytree(made.package, made.root / "as it was")
    shutil.copytree(made.cache, made.root / "cache as it was")
    return made


@pytest.fixture
def here(installation):
    """Give the installation back as it was, times and all."""
    yield installation
    installation.uninstall()
    for folder, name in (
        (installation.package, "as it was"),
        (installation.cache, "cache as it was"),
    ):
        shutil.rmtree(folder)
        shutil.copytree(installation.root / name, folder)


def test_what_is_kept_is_what_the_registry_says(here):
    here.kept().unlink()
    listed, live = here.listed()
    assert listed == live and not here.is_marked(listed)
    kept, pages = here.parts()
    assert kept == live
    assert list(pages) == list(dict.fromkeys(reversed(checkout("names()"))))
    assert pages == checkout("{name: page(name) for name in names()}")


def test_a_shelf_alone_is_that_part_of_what_is_kept(here):
    alone = json.loads(here.python("-c", RUN, "list", "scenarios", "--json"))
    assert list(alone) == ["scenarios", "broken"] and here.is_marked(alone)


def test_show_says_what_is_kept_and_suggests_the_near_miss(here):
    assert "as it was kept\n" in here.python("-c", RUN, "show", "rd/cct-1")
    ran = subprocess.run(
        [sys.executable, "-c", RUN, "show", "rd/cct1"], capture_output=True, text=True, check=False,
        env=here.environment,
    )  # fmt: skip
    assert ran.returncode == 2 and "did you mean 'rd/cct-1'" in ran.stderr


def edit(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def change_docstring(here):
    start = 'class TwoGroup(Scenario):\n    """'
    edit(here.package / "scenarios" / "did_two_group.py", start, f"{start}Rewritten. ")


def change_word_in_place(here):
    """Change a name, its length and the file's size and time as they were: contents count."""
    path = here.package / "scenarios" / "suites" / "quickstart.toml"
    before = path.stat()
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(text[2:5], "Xyz", 1), encoding="utf-8")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size


def add_file(here):
    (here.package / "estimators" / "third.py").write_text(PLUGIN.replace("WORDS", "A new file"))


def remove_file(here):
    (here.package / "scenarios" / "did_two_group.py").unlink()


def break_plugin(here):
    (here.package / "scenarios" / "did_two_group.py").write_text("raise OSError('out of order')")


def clash(here):
    text = PLUGIN.replace("third/party", "panel/twfe")
    (here.package / "estimators" / "zz_clash.py").write_text(text.replace("WORDS", "A taken name"))


def change_engine(here):
    edit(here.package / "cli" / "listing.py", 'return (doc or "")', 'return "so: " + (doc or "")')


def change_lesson(here):
    edit(here.package / "scenarios" / "lessons" / "exclusion.toml", 'title = "', 'title = "Anew: ')


def install_package(here):
    here.install("1.0", "Installed")


@pytest.mark.parametrize(
    "change",
    [
        change_docstring, change_word_in_place, add_file, remove_file, break_plugin, clash,
        change_engine, change_lesson, install_package,
    ],
    ids=lambda c: c.__name__,
)  # fmt: skip
def test_nothing_is_said_that_is_no_longer_so(here, change):
    change(here)
    for _ in range(2):  # the second time from what the first may have kept
        listed, live = here.listed()
        assert listed == live and not here.is_marked(listed)
    assert live != checkout("listing()")


def test_what_nothing_has_changed_is_listed_as_it_was_kept(here):
    listed, live = here.listed()
    assert here.is_marked(listed) and not here.is_marked(live)


def test_an_upgraded_and_a_removed_package_are_listed_as_they_are(here):
    for version, words in (("1.0", "As it was"), ("2.0", "As it is")):
        here.install(version, words)
        listed, live = here.listed()
        assert listed == live
        (about,) = (e["about"] for e in listed["estimators"] if e["name"] == "third/party")
        assert about == f"{words}."
    edit(here.site / "third_party.py", "As it is", "As it becomes")
    assert any(e["about"] == "As it becomes." for e in here.listed()[0]["estimators"])
    here.uninstall()
    assert here.is_marked(here.listed()[0]), "what is kept of cibench itself still holds"


def test_a_python_that_strips_docstrings_lists_none(here):
    listed, live = here.listed("-OO")
    assert listed == live
    assert {e["about"] for e in listed["scenarios"]} == {""}
    assert here.is_marked(here.listed()[0])


def test_another_python_another_numpy_and_another_place_have_another_digest(monkeypatch, tmp_path):
    before = index.sources_digest()
    assert index.sources_digest() == before
    with monkeypatch.context() as m:
        m.setattr(sys, "version", "3.99")
        assert index.sources_digest() != before
    with monkeypatch.context() as m:
        m.setattr(sys, "warnoptions", ["error"])
        assert index.sources_digest() != before
    with monkeypatch.context() as m:
        m.setattr(index, "find_spec", lambda name: None)
        assert index.sources_digest() != before
    shutil.copytree(ENGINE, tmp_path / "cibench")
    monkeypatch.setattr(index, "PACKAGE", tmp_path / "cibench")
    assert index.sources_digest() != before


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\x00", None], ids=["", "{}", "bytes", "cut"])
def test_a_damaged_file_is_made_again(here, content):
    path = here.kept()
    whole = path.read_bytes()
    path.write_bytes(whole[:-100] if content is None else content)
    listed, live = here.listed()
    assert listed == live and not here.is_marked(listed)
    assert here.kept().stat().st_size == pytest.approx(len(whole), rel=0.01)


def test_where_nothing_can_be_kept_everything_is_listed_without_a_word(here):
    (here.root / "file").write_text("")
    for place in (str(here.root / "file"), "/proc/no/such"):
        listed, live = here.listed(XDG_CACHE_HOME=place)
        assert listed == live
    path = here.kept()
    path.unlink()
    path.mkdir()
    listed, live = here.listed()
    assert listed == live


def test_writers_at_the_same_time_leave_one_whole_file(here):
    here.kept().unlink()
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", RUN, "list", "--json"], env=here.environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for _ in range(3)
    ]  # fmt: skip
    answers = {writer.communicate() for writer in writers}
    assert [(json.loads(out), err) for out, err in answers] == [(here.listed()[1], "")]
    assert here.files() == [here.cache / "cibench", here.kept()]


def test_it_is_for_its_owner_alone_and_another_users_is_not_believed(tmp_path, monkeypatch):
    path = tmp_path / "cache" / "cibench" / "a.json"
    content = {"listing": {"suites": []}, "pages": {"a/b": {}}}
    index._write(path, content)
    assert {part: index._read(path, part) for part in content} == content
    if os.name == "posix":
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700
        monkeypatch.setattr(os, "getuid", lambda: path.stat().st_uid + 1)
        assert index._read(path, "listing") is None
        index._write(tmp_path / "other" / "cibench" / "a.json", content)
        assert not (tmp_path / "other").exists()


def test_the_newest_few_stay(tmp_path):
    content = {part: {} for part in index.PARTS}
    for number in range(index.FILES + 3):
        path = tmp_path / f"{number}.json"
        index._write(path, content)
        os.utime(path, (number, number))
    index._write(tmp_path / "last.json", content)
    left = {path.stem for path in tmp_path.iterdir()}
    assert left == {"last", *map(str, range(4, index.FILES + 3))}


def test_sources_that_change_while_they_are_read_are_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(index, "sources_digest", lambda: "after")
    for before, stays in (("before", False), ("after", True)):
        path = tmp_path / f"{before}.json"
        assert index._new_index(path, before)["listing"] == listing.listing()
        assert path.exists() == stays


def test_where_one_page_cannot_be_made_the_others_are_asked_for(tmp_path, monkeypatch):
    def out_of_order(name):
        raise RuntimeError("out of order")

    monkeypatch.setattr(listing, "page", out_of_order)
    assert index._new_index(tmp_path / "a.json", index.sources_digest()) == {}
    assert not list(tmp_path.iterdir())


def test_a_process_that_has_used_the_registry_asks_it():
    assert index.REGISTRY in sys.modules
    assert index.kept("listing") is None


@pytest.mark.parametrize(
    ("platform", "environment", "folder"),
    [
        ("linux", {"XDG_CACHE_HOME": "/x"}, "/x/cibench"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "/home/u/.cache/cibench"),
        ("linux", {}, "/home/u/.cache/cibench"),
        ("darwin", {}, "/home/u/Library/Caches/cibench"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/cibench"),
    ],
)
def test_it_lies_where_the_platform_keeps_caches(platform, environment, folder, monkeypatch):
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "/home/u", **environment}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert index.cache_folder() == Path(folder)
