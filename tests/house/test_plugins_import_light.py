"""Importing every plug-in module brings in numpy, cibench and the standard library alone."""

import json
import sys

from commands import python

PROGRAM = """
import json, pkgutil, sys
import numpy, numpy.random
before = set(sys.modules)
import cibench.estimators, cibench.scenarios
for package in (cibench.estimators, cibench.scenarios):
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        __import__(found.name)
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def test_plugins_import_numpy_and_cibench_only():
    ran = python("-c", PROGRAM)
    assert ran.returncode == 0, ran.stderr
    loaded = json.loads(ran.stdout)
    assert "cibench.scenarios.rd_cct" in loaded
    own = {"numpy", "cibench", *sys.stdlib_module_names}
    heavy = {name.partition(".")[0] for name in loaded} - own
    assert not {name for name in heavy if not name.startswith("_sysconfigdata")}
