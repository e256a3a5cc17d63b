"""Generators: what draws covariates, structure and residuals like the seed’s."""
