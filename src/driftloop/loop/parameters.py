"""From a ModelLoop to the parameters of the one compiled pipeline package, the same for every runner."""

from collections.abc import Sequence
from typing import Any

from driftloop.spec import DataSpec, ModelLoop, ModelSpec, is_training_rows
from driftloop.spec.operation import PipelineSpec
from driftloop.spec.training import Effort


def pipeline_parameters(
    loop: ModelLoop,
    *,
    data_uri: str,
    time_column: str | None,
    algorithms: Sequence[str],
    run_key: str,
    result_uri: str,
    store_uri: str,
    champion_uri: str,
    runtime_image: str,
    image: str,
    code_digest: str,
    effort: Effort | None = None,
) -> dict[str, Any]:
    """Return the parameters of a training run, as plain JSON values.

    Args:
        loop: what to train.
        data_uri: table to train on: the user's for the first run, an export of the prediction log later.
        time_column: column that orders its rows, if any.
        algorithms: candidates, `Auto` already resolved.
        run_key: identity of the run; a second run with the same key ends at once.
        result_uri: where `register` writes the result.
        store_uri: object store for Bentos.
        champion_uri: Bento to compare with; empty for a first model.
        runtime_image: image that serves the model, noted in the result and in the Bento.
        image: image of the run's steps.
        code_digest: identity of the code, part of every cache key.
        effort: rung of the ladder of improvement, as the ledger's `RunStarted` has it; None for a first model.
    """
    spec = loop.spec
    data = data_of_run(spec.data, data_uri, time_column).to_dict()
    return {
        "loop": loop.metadata.name,
        "data_uri": data_uri,
        "target_column": spec.data.target_column,
        "task": spec.problem.task.value,
        "metric": spec.problem.metric_name,
        "max_trials": spec.training.max_trial_count,
        "algorithms": list(algorithms),
        "run_key": run_key,
        "result_uri": result_uri,
        "store_uri": store_uri,
        "champion_uri": champion_uri,
        "runtime_image": runtime_image,
        "image": image,
        "code_digest": code_digest,
        "problem": spec.problem.to_dict(),
        "data": data,
        "preparation": spec.preparation.to_dict(),
        "training": spec.training.to_dict() | ({"effort": effort} if effort else {}),
        "acceptance": spec.acceptance.to_dict(),
        "monitoring": spec.monitoring.to_dict(),
        "governance": spec.governance.to_dict(),
        **step_parameters(spec.pipeline),
    }


def data_of_run(data: DataSpec, uri: str, time_column: str | None) -> DataSpec:
    """Return the group `data` of a run.

    Logged rows carry as inputs what was joined to the first table and what was made of its earlier rows: a run that
    learns from the prediction log must not do that again.
    """
    own = {"query": None, "joins": (), "history": (), "simulation": None} if is_training_rows(uri) else {}
    return data.model_copy(update={"uri": uri, "time_column": time_column, **own})


def step_parameters(spec: PipelineSpec) -> dict[str, Any]:
    """Return what the spec says of the steps' pods; of the rest, the package has defaults. Local runs ignore them.

    Where the spec names only a request or only a limit, the other is the same: the package's default might contradict.
    """
    parameters: dict[str, Any] = {}
    for name in ("cpu", "memory"):
        request, limit = spec.resources.requests.get(name), spec.resources.limits.get(name)
        if request or limit:
            parameters |= {f"{name}_request": request or limit, f"{name}_limit": limit or request}
    if spec.node_selector:
        parameters["node_selector"] = dict(spec.node_selector)
    if spec.tolerations:
        parameters["tolerations"] = [toleration.to_dict() for toleration in spec.tolerations]
    return parameters


def adoption_parameters(loop: ModelLoop, model: ModelSpec, **run: Any) -> dict[str, Any]:
    """Return the parameters of an adoption run; `run` are the arguments of `pipeline_parameters` but the last ones.

    Args:
        loop: what the model shall do.
        model: the model, at an address that every process understands.
        run: `data_uri`, `time_column`, `run_key`, `result_uri`, `store_uri`, `runtime_image`, `image`,
            `code_digest`.
    """
    parameters = pipeline_parameters(loop, algorithms=(), champion_uri="", **run)
    for name in ("algorithms", "champion_uri", "max_trials", "preparation"):
        del parameters[name]
    return parameters | {"model_uri": model.uri, "existing_model": model.to_dict()}


def feasibility_parameters(loop: ModelLoop, *, algorithms: Sequence[str], **run: Any) -> dict[str, Any]:
    """Return the parameters of a proof of concept; `run` as of `adoption_parameters`."""
    parameters = pipeline_parameters(loop, algorithms=algorithms, champion_uri="", **run)
    for name in ("champion_uri", "store_uri", "acceptance", "governance"):
        del parameters[name]
    return parameters
