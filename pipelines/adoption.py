"""The adoption pipeline: makes a model that was trained elsewhere a candidate. It wires; components do the work."""

from kfp import dsl

from components.adopt.component import adopt
from pipelines.parts import (
    STORE_CONFIG,
    STORE_SECRET,
    Parameters,
    Rows,
    adjust_candidate,
    bring_data_in,
    judge_candidate,
    place_steps,
    register_candidate,
)


@dsl.pipeline(name="driftloop-adoption", description="A model in, a verified candidate Bento out. It promotes nothing.")
def adoption_pipeline(
    loop: str,
    data_uri: str,
    target_column: str,
    task: str,
    metric: str,
    model_uri: str,
    run_key: str,
    result_uri: str,
    store_uri: str,
    runtime_image: str,
    image: str,
    code_digest: str,
    problem: dict = {},  # noqa: B006 - compiled into the package as the default
    data: dict = {},  # noqa: B006
    existing_model: dict = {},  # noqa: B006
    training: dict = {},  # noqa: B006
    acceptance: dict = {},  # noqa: B006
    monitoring: dict = {},  # noqa: B006
    governance: dict = {},  # noqa: B006
    claimant: str = "",
    store_secret: str = STORE_SECRET,
    store_config: str = STORE_CONFIG,
    cpu_request: str = "250m",
    cpu_limit: str = "4",
    memory_request: str = "512Mi",
    memory_limit: str = "4Gi",
    node_selector: dict = {},  # noqa: B006
    tolerations: list = [],  # noqa: B006
) -> None:
    """Check, judge, package and register one model made elsewhere.

    Args:
        loop: Name of the ModelLoop.
        data_uri: CSV or Parquet file, folder or pattern; what live traffic will be compared with.
        target_column: Column to predict.
        task: Classification or Regression.
        metric: Metric by which models are compared.
        model_uri: Address of the model.
        run_key: Key that makes the run unique.
        result_uri: Where the result is written, once.
        store_uri: Root of the object store that takes the Bento.
        runtime_image: Image of the model's server.
        image: Image of every step.
        code_digest: Identity of the driftloop code; changed code is never a cache hit.
        problem: Group `problem` of the ModelLoop.
        data: Group `data` of the ModelLoop.
        existing_model: Group `model` of the ModelLoop.
        training: Group `training` of the ModelLoop; its random state.
        acceptance: Group `acceptance` of the ModelLoop.
        monitoring: Group `monitoring` of the ModelLoop.
        governance: Group `governance` of the ModelLoop.
        claimant: Who claims the run key; empty for this run itself, as Kubeflow numbers it.
        store_secret: Secret with the object store's credentials, beside the steps' pods; it may be missing.
        store_config: ConfigMap with the object store's endpoint and region, beside the steps' pods; it may be missing.
        cpu_request: Processors that each step is guaranteed.
        cpu_limit: Most processors of a step.
        memory_request: Memory that each step is guaranteed.
        memory_limit: Most memory of a step.
        node_selector: Labels of the nodes that the steps may run on.
        tolerations: Taints of nodes that the steps put up with.
    """
    given = Parameters(dict(locals()))
    data_in = bring_data_in(given)
    adopted = adopt(
        table=data_in.collect.outputs["table"],
        **given.pick("loop", "data_uri", "target_column", "task", "data", "model_uri", "existing_model"),
    )
    # What lies at the model's address may change; a run of its own per loop needs no cache.
    adopted.set_caching_options(enable_caching=False)
    rows, schema = adopted.outputs["rows"], adopted.outputs["schema"]
    model = adjust_candidate(given, model=adopted.outputs["model"], train=rows, matrices=rows, schema=schema)
    judged = judge_candidate(
        given,
        model=model,
        rows=Rows(all=rows, train=rows, validation=rows, test=rows, matrices=rows),
        schema=schema,
        trained_through=adopted.outputs["Output"],
    )
    report = adopted.outputs["report"]
    register_candidate(given, data_in=data_in, judged=judged, model=model, test=rows, schema=schema, report=report)
    place_steps(given)
