"""The training pipeline: one package for every loop, varied by parameters. It wires; components do the work."""

from kfp import dsl

from components.validate.component import validate
from pipelines.parts import (
    STORE_CONFIG,
    STORE_SECRET,
    Parameters,
    bring_data_in,
    judge_candidate,
    place_steps,
    register_candidate,
    train_candidate,
)


@dsl.pipeline(name="driftloop-training", description="Data in, a verified candidate Bento out. It promotes nothing.")
def training_pipeline(
    loop: str,
    data_uri: str,
    target_column: str,
    task: str,
    metric: str,
    algorithms: list,
    run_key: str,
    result_uri: str,
    store_uri: str,
    runtime_image: str,
    image: str,
    code_digest: str,
    champion_uri: str = "",
    max_trials: int = 30,
    problem: dict = {},  # noqa: B006 - compiled into the package as the default
    data: dict = {},  # noqa: B006
    preparation: dict = {},  # noqa: B006
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
    """Train, judge, package and register one candidate.

    Args:
        loop: Name of the ModelLoop.
        data_uri: CSV or Parquet file, folder or pattern.
        target_column: Column to predict.
        task: Classification or Regression.
        metric: Metric by which models are tuned and compared.
        algorithms: Names of the algorithms to try.
        run_key: Key that makes the run unique.
        result_uri: Where the result is written, once.
        store_uri: Root of the object store that takes the Bento.
        runtime_image: Image of the model's server.
        image: Image of every step.
        code_digest: Identity of the driftloop code; changed code is never a cache hit.
        champion_uri: Bento of the model that serves now; empty for a first model.
        max_trials: Trials of hyperparameters over all algorithms.
        problem: Group `problem` of the ModelLoop.
        data: Group `data` of the ModelLoop.
        preparation: Group `preparation` of the ModelLoop.
        training: Group `training` of the ModelLoop.
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
    validated = validate(
        table=data_in.collect.outputs["table"],
        **given.pick("loop", "data_uri", "target_column", "task", "data", "champion_uri"),
    )
    rows, schema = validated.outputs["rows"], validated.outputs["schema"]
    trained = train_candidate(given, rows=rows, schema=schema, champion_uri=champion_uri)
    model, test = trained.model, trained.rows.test
    judged = judge_candidate(
        given,
        model=model,
        rows=trained.rows,
        schema=schema,
        trained_through=trained.trained_through,
        champion_uri=champion_uri,
    )
    report = validated.outputs["report"]
    register_candidate(given, data_in=data_in, judged=judged, model=model, test=test, schema=schema, report=report)
    place_steps(given)
