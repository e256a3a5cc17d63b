"""`cibench new gate`: found package, nothing overwritten, and files that work as they are."""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from workflows import MARK, PAGE, documented, written

from cibench import BadInput
from cibench.cli import new_gate
from cibench.cli.new_gate import read_project, write_new_gate

FILES = {
    "tests/test_estimates.py", "ci/gate.toml", "ci/methods.py", "ci/requirements.txt",
    ".github/workflows/estimators.yml",
}  # fmt: skip


def package(folder, name="My-Package", module="my_package", root="src"):
    (folder / "pyproject.toml").write_text(f'[project]\nname = "{name}"\nversion = "1.0"\n')
    (folder / root / module).mkdir(parents=True)
    (folder / root / module / "__init__.py").write_text("")


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("pyproject.toml", '[project]\nname = "my.package"\n'),
        ("pyproject.toml", '[tool.poetry]\nname = "my-package"\n'),
        ("setup.cfg", "[metadata]\nname = my_package\n"),
        ("setup.py", "from setuptools import setup\nsetup(version='1', name='my-package')\n"),
    ],
)
@pytest.mark.parametrize("module", ["src/my_package/__init__.py", "my_package.py", "other.py"])
def test_a_package_is_read_where_it_is_declared(tmp_path, file, text, module):
    (tmp_path / file).write_text(text)
    path = tmp_path / module
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    for name in ("tests", "docs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
    project = read_project(tmp_path)
    assert re.sub("[-._]", "", project.name) == "mypackage"
    assert project.module == ("other" if module == "other.py" else "my_package")
    assert project.family == "my-package"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda f: None, "no pyproject.toml, setup.cfg or setup.py that names a package"),
        (lambda f: (f / "pyproject.toml").write_text("[build-system]\n"), "names a package"),
        (lambda f: (f / "pyproject.toml").write_text('[project]\nname = "a/../b"\n'), "is no name"),
        (lambda f: (f / "pyproject.toml").write_text('[project]\nname = "a"\n'), "no module 'a'"),
        (lambda f: (package(f, "a", "b"), (f / "src/c").mkdir(), (f / "src/c/__init__.py").touch()),
         "only b, c: say `cibench new gate MODULE`"),
    ],
)  # fmt: skip
def test_what_is_no_package_is_said_in_a_line(call, tmp_path, make, words):
    make(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    code, out, err = call("new", "gate")
    assert (code, out) == (2, "") and words in " ".join(err.split())
    assert sorted(tmp_path.rglob("*")) == before


def test_the_module_may_be_said_and_others_need_a_name(call, tmp_path):
    package(tmp_path, "a", "b")
    (tmp_path / "src" / "c").mkdir()
    (tmp_path / "src" / "c" / "__init__.py").touch()
    assert call("new", "gate", "no module")[0] == 2
    assert call("new", "gate", "c")[0] == 0
    assert "import c " in (tmp_path / "tests" / "test_estimates.py").read_text()
    for what in ("scenario", "estimator", "lesson"):
        code, _, err = call("new", what)
        assert code == 2 and f"say its name: cibench new {what}" in err


@pytest.mark.parametrize("file", sorted(FILES))
def test_nothing_is_written_over_a_file_or_beside_one(call, tmp_path, file):
    package(tmp_path)
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    code, _, err = call("new", "gate")
    assert code == 2 and f"{file} exists already; nothing is written" in err
    assert path.read_text() == "mine" and sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("origin", "line"),
    [
        (("1.2", None), "cibench==1.2"),
        (("1.2", "git+https://host/o/cibench@abc"), "cibench @ git+https://host/o/cibench@abc"),
        (("1.2", ""), "# cibench @ git+https://HOST/OWNER/cibench@COMMIT"),
    ],
)
def test_a_runner_installs_the_cibench_that_is_here_or_none(monkeypatch, origin, line):
    """Where it came from a folder no index is asked: another package may have the name there."""
    monkeypatch.setattr("cibench.storage.installed.origin_of", lambda unit: origin)
    assert new_gate.requirement() == line


def test_documented_and_written_are_the_same():
    shown = documented()
    assert {"estimators.yml", "estimators-nightly.yml", "baseline.yml"} == set(shown)
    assert shown["estimators.yml"] == written()
    assert set(FILES) - {".github/workflows/estimators.yml"} <= set(
        re.findall(r"`([\w./]+)`", PAGE.read_text("utf-8"))
    ) | {"ci/requirements.txt"}


@pytest.mark.parametrize("name", ["estimators.yml", "estimators-nightly.yml", "baseline.yml"])
def test_actions_are_pinned_rights_are_few_and_artefacts_are_seen(name):
    text = documented()[name]
    for line in re.findall(r"uses: .*", text):
        assert re.fullmatch(r"uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {}
    for job, content in workflow["jobs"].items():
        rights, steps = content["permissions"], content["steps"]
        runs_code = any(step.get("uses", "").startswith("actions/checkout") for step in steps)
        assert rights == ({"contents": "read"} if runs_code else
                          {"actions": "read", "pull-requests": "write"}), job  # fmt: skip
        for step in steps:
            assert "${{" not in step.get("run", ""), "a text of strangers would be run"
            if "upload-artifact" in step.get("uses", ""):
                paths = step["with"]["path"].split()
                assert paths and not any(
                    part.startswith(".") for p in paths for part in p.split("/")
                )
    every = set(re.findall(r"uses: (\S+)", text))
    assert every <= set(re.findall(r"uses: (\S+)", written()))


STEPS = {step.get("name"): step for step in yaml.safe_load(written())["jobs"]["gate"]["steps"]}
COMMENT = {step["name"]: step for step in yaml.safe_load(written())["jobs"]["comment"]["steps"]}

GH = """#!/usr/bin/env python3
import json, os, pathlib, shutil, sys
words = sys.argv[1:]
with open(os.environ["CALLS"], "a") as file:
    file.write(json.dumps(words) + "\\n")
if words[:2] == ["run", "download"]:
    shutil.copytree("gate", "downloaded/gate")
elif "--paginate" in words:
    print(os.environ.get("OLD", ""), end="")
"""


def shell(step, folder, **more):
    """Run a step of the workflow as a runner does."""
    tools = folder / ".tools"
    if not tools.is_dir():
        tools.mkdir()
        for name, text in (
            ("gh", GH),
            ("cibench", f'#!/bin/sh\nexec "{sys.executable}" -m cibench "$@"\n'),
            ("pytest", f'#!/bin/sh\nexec "{sys.executable}" -m pytest "$@"\n'),
        ):
            (tools / name).write_text(text)
            (tools / name).chmod((tools / name).stat().st_mode | stat.S_IXUSR)
    paths = [str(folder / "src"), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "GITHUB_STEP_SUMMARY": str(folder / "shown.md"), "CALLS": str(folder / "calls"), **more,
    }  # fmt: skip
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]], cwd=folder,
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Give a package with the gate that was written for it, and with what is to be committed."""
    folder = tmp_path_factory.mktemp("project")
    package(folder)
    assert {p.relative_to(folder).as_posix() for p in write_new_gate(folder)} == FILES
    few = (folder / "ci" / "gate.toml").read_text().replace("replicates = 200", "replicates = 40")
    (folder / "ci" / "gate.toml").write_text(few)
    page = PAGE.read_text("utf-8")
    block = next(b for b in page.split("```sh\n")[1:] if "baseline save run main" in b)
    for command in block.partition("```")[0].strip().splitlines():
        done = shell(
            {"run": f"{command} {'--cibench-replicates 40' * ('pytest' in command)}"}, folder
        )
        assert done.returncode == 0, command + done.stdout + done.stderr
    assert (folder / "baselines" / "main" / "baseline.json").is_file()
    return folder


@pytest.fixture
def copy(project, tmp_path):
    shutil.copytree(
        project, tmp_path / "copy", ignore=shutil.ignore_patterns("run", ".pytest_cache")
    )
    return tmp_path / "copy"


def summarised(folder):
    done = shell(STEPS["Show the summary"], folder)
    assert done.returncode == 0, done.stderr
    assert (folder / "shown.md").read_text() == (folder / "gate" / "summary.md").read_text()
    return (folder / "shown.md").read_text()


def test_it_passes_as_it_was_written(copy):
    assert shell(STEPS["Check against the baseline"], copy).returncode == 0
    done = shell(STEPS["Run the statistical tests"], copy)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 identical" in summarised(copy)
    assert (copy / "gate-tests" / "junit.xml").is_file()
    for name in STEPS["Install"]["run"].split()[3:4]:
        assert (copy / name).is_file()


def test_a_change_ends_with_1_and_is_shown(copy):
    for path in (copy / "ci" / "methods.py", copy / "tests" / "test_estimates.py"):
        path.write_text(path.read_text().replace("se = np.sqrt", "se = 0.5 * np.sqrt"))
    assert shell(STEPS["Check against the baseline"], copy).returncode == 1
    assert shell(STEPS["Run the statistical tests"], copy).returncode == 1
    assert "failed" in summarised(copy)
    assert list((copy / "gate-tests").rglob("verdict.html"))  # the artefact has the page


def test_bad_input_ends_with_2_and_says_so_where_nothing_was_compared(copy):
    shutil.rmtree(copy / "baselines")
    done = shell(STEPS["Check against the baseline"], copy)
    assert done.returncode == 2 and "no baseline" in done.stderr
    assert "nothing was compared" in summarised(copy)


@pytest.mark.parametrize("old", ["", "17\n23\n"])
def test_one_comment_is_written_and_then_changed(copy, old):
    (copy / "gate").mkdir()
    (copy / "gate" / "summary.md").write_text("### ≈ cibench: passed\n" + "é" * 40000)
    environment = {"GH_REPO": "o/r", "NUMBER": "5", "RUN": "9", "OLD": old}
    for step in COMMENT.values():
        done = shell(step, copy, **environment)
        assert done.returncode == 0, done.stderr
    *_, posted = [json.loads(line) for line in (copy / "calls").read_text().splitlines()]
    where, method = ("comments/17", "PATCH") if old else ("5/comments", "POST")
    assert f"repos/o/r/issues/{where}" in posted and posted[posted.index("--method") + 1] == method
    body = (copy / "comment.md").read_text(encoding="utf-8")  # cut, and still UTF-8
    assert body.startswith("<!-- cibench gate -->\n### ≈ cibench: passed")
    assert len(body.encode()) < 65536
    condition = yaml.safe_load(written())["jobs"]["comment"]["if"]
    assert "head.repo.full_name == github.repository" in condition


def test_every_block_of_the_page_is_one_of_these_or_tried_elsewhere():
    """YAML that is no workflow of its own is a list of steps; commands are those of the tests."""
    blocks = [b.partition("```")[0] for b in PAGE.read_text("utf-8").split("```yaml\n")[1:]]
    for block in blocks:
        assert block.startswith(MARK) or all("run" in step for step in yaml.safe_load(block))
    with pytest.raises(BadInput):
        read_project(Path(os.devnull).parent / "nowhere")
