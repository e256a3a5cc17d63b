"""Data twins: scale a small real data set, keep its causal structure, plant a known effect.

The operator: *residualise* (subtract the structural part: outcome function and effect), *train* a
generator on covariates, running variable or panel structure and residuals, *reconstruct* (apply the
structural part, the treatment rule and a planted effect to generated rows). Treatment and
instrument come from fitted assignment mechanisms given the generated covariates, residuals from
their law given covariates alone.

From Python: `read_seed` (`cibench.twins.seed`), `fit_twin` (`.fit`), `save_twin`, `open_twin`
(`.file`), `audit` (`.audit`), `find_scenario(register_twin(path).name)` (`.scenarios`).
"""
