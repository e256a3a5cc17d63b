"""Names in brackets are printed as they are: the terminal's markup is no language of theirs."""

import pytest

from cibench.render.terminal import console, table


@pytest.mark.parametrize("words", ["[/red]", "[bold]x", "[link=x]", "x[/]", "[red]a[/red]"])
def test_what_looks_like_markup_is_printed_as_it_is(words, capsys):
    """A group called `[/red]` had ended a run in a traceback after its last fit."""
    console().print(words)
    console().print(table([{words: words}], words))
    console(stderr=True).print(words)
    seen = capsys.readouterr()
    assert seen.out.count(words) == 4 and seen.err.strip() == words
