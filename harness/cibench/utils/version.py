"""The version of cibench, which manifests and pages carry."""

__version__ = "0.1.0"
