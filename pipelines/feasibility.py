"""The feasibility pipeline: the training pipeline on a sample, ending in go or no-go instead of a Bento. It wires."""

from kfp import dsl

from components.feasibility.component import feasibility
from components.sample.component import sample
from components.validate.component import validate
from pipelines.parts import (
    STORE_CONFIG,
    STORE_SECRET,
    Parameters,
    bring_data_in,
    judge_candidate,
    place_steps,
    train_candidate,
)


@dsl.pipeline(name="driftloop-feasibility", description="Data in, a judgement of feasibility out. It makes no Bento.")
def feasibility_pipeline(
    loop: str,
    data_uri: str,
    target_column: str,
    task: str,
    metric: str,
    algorithms: list,
    run_key: str,
    result_uri: str,
    runtime_image: str,
    image: str,
    code_digest: str,
    max_trials: int = 6,
    problem: dict = {},  # noqa: B006 - compiled into the package as the default
    data: dict = {},  # noqa: B006
    preparation: dict = {},  # noqa: B006
    training: dict = {},  # noqa: B006
    monitoring: dict = {},  # noqa: B006
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
    """Train on a sample within a small budget, and judge whether the problem can be solved.

    Args:
        loop: Name of the ModelLoop.
        data_uri: CSV or Parquet file, folder or pattern.
        target_column: Column to predict.
        task: Classification or Regression.
        metric: Metric by which models are tuned and judged.
        algorithms: Names of the algorithms to try.
        run_key: Key that makes the run unique.
        result_uri: Where the result is written, once.
        runtime_image: Image that a model would be served on.
        image: Image of every step.
        code_digest: Identity of the driftloop code; changed code is never a cache hit.
        max_trials: Trials of hyperparameters over all algorithms.
        problem: Group `problem` of the ModelLoop.
        data: Group `data` of the ModelLoop.
        preparation: Group `preparation` of the ModelLoop.
        training: Group `training` of the ModelLoop.
        monitoring: Group `monitoring` of the ModelLoop.
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
        champion_uri="",
        **given.pick("loop", "data_uri", "target_column", "task", "data"),
    )
    schema = validated.outputs["schema"]
    sampled = sample(rows=validated.outputs["rows"], schema=schema, **given.pick("training"))
    rows = sampled.outputs["sampled"]
    trained = train_candidate(given, rows=rows, schema=schema)
    judged = judge_candidate(
        given, model=trained.model, rows=trained.rows, schema=schema, trained_through=trained.trained_through
    )
    concluded = feasibility(
        run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
        model=trained.model,
        matrices=trained.rows.matrices,
        sampled=rows,
        train=trained.rows.train,
        test=trained.rows.test,
        schema=schema,
        evaluation=judged.evaluate.outputs["evaluation"],
        explanation=judged.explain.outputs["explanation"],
        all_rows=sampled.outputs["Output"],
        data_digest=data_in.snapshot.output,
        **given.pick("loop", "run_key", "result_uri", "claimant", "task", "problem", "training", "max_trials"),
    )
    concluded.set_caching_options(enable_caching=False)
    place_steps(given)
