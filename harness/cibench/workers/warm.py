"""Import this in a process that others are forked from: what they would import is there then."""

import os

import threadpoolctl  # noqa: F401 - what it imports late

import cibench.workers.child  # noqa: F401 - what they run
from cibench.model import registry
from cibench.storage.schema import schema
from cibench.workers.processes import WARM, import_all
from cibench.workers.shared_names import libraries

registry.load_built_in()
schema()
import_all(filter(None, os.environ.get(WARM, "").split(",")))
libraries()  # each child would keep them by itself
