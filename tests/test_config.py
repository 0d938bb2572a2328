from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlkit.config import Parameters, UnknownNameError, UnreadParameterError, canonical, lookup, nearest, short_hash

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def test_lookup_returns_the_entry_or_names_the_nearest():
    assert lookup("b", {"a": 1, "b": 2}, "letter") == 2
    with pytest.raises(
        UnknownNameError, match=r"unknown optimiser 'adamv'\. Did you mean 'adamw'\? Allowed: adamw, sgd"
    ):
        lookup("adamv", {"adamw": 1, "sgd": 2}, "optimiser")
    assert nearest("zzz", ["adamw"]) == ""


@given(st.dictionaries(st.text(max_size=5), VALUES, max_size=4))
@settings(max_examples=40, deadline=None)
def test_equal_configs_have_equal_text_and_hash_in_any_order(config):
    shuffled = dict(reversed(list(config.items())))
    assert canonical(config) == canonical(shuffled) and json.loads(canonical(config)) == config
    assert short_hash(config) == short_hash(json.loads(json.dumps(shuffled)))


@given(VALUES, VALUES)
@settings(max_examples=60, deadline=None)
def test_different_values_have_different_texts(a, b):
    assert (canonical(a) == canonical(b)) == (json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True))


def test_hash_is_pinned_and_the_same_in_another_process():
    # a change here gives every run a new id
    assert short_hash({"a": [1, 2.5, None], "ü": True}) == "c29ecadd"
    code = "from tlkit.config import short_hash; print(short_hash({'ü': True, 'a': [1, 2.5, None]}))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "c29ecadd"


def test_tuples_and_lists_are_the_same_value_and_nan_is_none():
    assert canonical((1, 2)) == canonical([1, 2])
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical({"lr": float("nan")})


def namespace(**values):
    return {"_hidden": 1, "In": [], "json": json, "len": len, **values}


def test_parameters_are_the_plain_public_values():
    with Parameters(namespace(lr=0.1, tasks=["R"])) as p:
        assert p.lr == 0.1 and p.tasks == ["R"]
    with pytest.raises(AttributeError):
        _ = p._hidden


def test_a_parameter_that_nothing_reads_is_an_error():
    message = r"sead\. Did you mean 'seed'\?.*reads: lr, seed"
    with pytest.raises(UnreadParameterError, match=message), Parameters(namespace(seed=1, sead=2, lr=0.1)) as p:
        _ = p.seed, p.lr


def test_an_unknown_parameter_names_the_nearest():
    message = r"unknown parameter 'scael'\. Did you mean 'scale'"
    with pytest.raises(UnknownNameError, match=message), Parameters(namespace(scale="smoke", study="s")) as p:
        _ = p.scael


def test_an_error_in_the_block_is_not_hidden_by_unread_parameters():
    with pytest.raises(ZeroDivisionError), Parameters(namespace(seed=1)):
        _ = 1 / 0


def test_the_cell_that_reads_the_parameters_can_be_run_again():
    """In JupyterLab the namespace fills up with what later cells make; only the parameters cell's names count."""
    cells = [
        "",
        'study = "b"  # which\nseeds = [1]',
        "import os\nx = 3",
        "y = 4",
        'study = "c"\nseeds = []',
        "# Parameters\nlr = 1",
    ]
    namespace = {"In": cells, "Out": {}, "study": "c", "seeds": [], "x": 3, "y": 4, "lr": 1, "result": "made later"}
    with Parameters(namespace) as p:
        assert (p.study, p.seeds, p.lr) == ("c", [], 1)
    with pytest.raises(UnreadParameterError, match=r"nothing reads: lr, seeds\."), Parameters(namespace) as p:
        assert p.study == "c"


def test_an_injected_name_that_the_notebook_does_not_know_is_an_error():
    namespace = {"In": ["", "seed = 1", "# Parameters\nsede = 2", "import os"], "seed": 1, "sede": 2}
    with pytest.raises(UnreadParameterError, match=r"sede\. Did you mean 'seed'"), Parameters(namespace) as p:
        assert p.seed == 1
