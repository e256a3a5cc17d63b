"""Fit a twin: read seed data, estimate its structure, residualise, train a generator."""
