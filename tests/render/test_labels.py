"""Names of files that are made of other names."""

import json

from hypothesis import given
from hypothesis import strategies as st

from cibench.render.labels import slug, view_titles
from cibench.utils.names import is_portable


@given(st.text(alphabet="ab./ -:?\\", max_size=8) | st.text(max_size=12))
def test_a_slug_after_a_number_is_a_name_to_every_system(text):
    name = f"001-{slug(text)}"
    assert is_portable(name) and not set('<>:"|?*\\/ ') & set(name)


VALUES = st.sampled_from([1, 1.0, 2, "x", None, True, [1]])
VIEWS = st.fixed_dictionaries({
    "scenario": st.sampled_from("ab"), "n": st.sampled_from([10, 20]),
    "parameters": st.dictionaries(st.sampled_from("pqr"), VALUES).map(json.dumps),
    "estimand": st.sampled_from(["ATE", "ATT"]), "horizon": st.sampled_from([float("-inf"), 1.0]),
    "level": st.sampled_from([0.9, 0.95]),
})  # fmt: skip


@given(st.lists(VIEWS, min_size=1, max_size=5))
def test_a_title_has_what_differs_within_its_scenario_and_nothing_else(views):
    for view, title in zip(views, view_titles(views), strict=True):
        own = json.loads(view["parameters"])
        siblings = [v for v in views if v["scenario"] == view["scenario"]]
        maps = [json.loads(v["parameters"]) for v in siblings]
        named = [part.partition(" = ")[0] for part in title.split(", ")]
        assert [k for k in own if any(o.get(k) != own[k] for o in maps)] == [
            name for name in named if name in "pqr"
        ]
        assert (view["estimand"] in title) == (len({v["estimand"] for v in siblings}) > 1)
        assert ("level" in title) == (len({v["level"] for v in siblings}) > 1)
        assert ("horizon" in title) == (view["horizon"] == 1.0)
