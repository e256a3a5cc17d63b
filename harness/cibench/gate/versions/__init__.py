"""One suite with several versions of a package, each in an environment of its own."""
