"""Data twins: scale a small real data set, keep its causal structure, plant a known effect.

The operator: *residualise* (subtract the structural part: outcome function and effect), *train* a
generator on covariates, running variable or panel structure and residuals, *reconstruct* (apply the
structural part, the treatment rule and a planted effect to generated rows). Treatment and
instrument come from fitted assignment mechanisms given the generated covariates, residuals from
their law given covariates alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cibench.utils.lazy import offered

if TYPE_CHECKING:
    from cibench.twins.audit.audit import audit_twin
    from cibench.twins.file import open_twin, save_twin
    from cibench.twins.fit.fitting import fit_twin
    from cibench.twins.fit.seed_data import read_seed
    from cibench.twins.sample import draw_rows, write_sample
    from cibench.twins.scenario import register_twin
    from cibench.twins.twin import Twin

__all__ = [
    "Twin", "audit_twin", "draw_rows", "fit_twin", "open_twin", "read_seed", "register_twin",
    "save_twin", "write_sample",
]  # fmt: skip

_HOMES = {
    "cibench.twins.audit.audit": ("audit_twin",),
    "cibench.twins.file": ("open_twin", "save_twin"),
    "cibench.twins.fit.fitting": ("fit_twin",),
    "cibench.twins.fit.seed_data": ("read_seed",),
    "cibench.twins.sample": ("draw_rows", "write_sample"),
    "cibench.twins.scenario": ("register_twin",),
    "cibench.twins.twin": ("Twin",),
}  # fmt: skip

__getattr__ = offered(__name__, _HOMES)
