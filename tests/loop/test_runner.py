"""What a loop says of its runs, for every runner."""

import pytest

from driftloop.loop.parameters import step_parameters
from driftloop.loop.runner import RunOrder
from tests.loop.conftest import make_loop


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        ("ConceptDrift in the window of 2013-03-01: accuracy fell", "ConceptDrift"),
        ("no model yet", "no model yet"),
        ("no model yet; the data can be read now", "no model yet"),
        ("alice asked for it (on labelled traffic): new sensor", "alice asked for it"),
        ("x" * 100, "x" * 40),
    ],
)
def test_a_run_s_name_has_the_first_words_of_its_reason(reason, cause):
    order = RunOrder(make_loop(), run_key="k", number=1, pipeline="training", parameters={}, reason=reason)
    assert order.cause == cause


@pytest.mark.parametrize(
    ("resources", "parameters"),
    [
        ({}, {}),
        ({"requests": {"cpu": "500m"}}, {"cpu_request": "500m", "cpu_limit": "500m"}),
        ({"limits": {"memory": "8Gi"}}, {"memory_request": "8Gi", "memory_limit": "8Gi"}),
        (
            {"requests": {"memory": "2Gi"}, "limits": {"memory": "4Gi"}},
            {"memory_request": "2Gi", "memory_limit": "4Gi"},
        ),
    ],
)
def test_named_resources_never_contradict_the_package_s_defaults(resources, parameters):
    assert step_parameters(make_loop(pipeline={"resources": resources}).spec.pipeline) == parameters
