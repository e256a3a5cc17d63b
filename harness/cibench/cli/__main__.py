"""`python -m cibench.cli`: the command line, as `cibench` is."""

from cibench.cli import main

if __name__ == "__main__":
    main()
