"""The adoption pipeline: makes a model that was trained elsewhere a candidate. It wires; components do the work."""

from kfp import dsl

from components.adopt.component import adopt
from pipelines.parts import Parameters, bring_data_in, judge_candidate, register_candidate, run_on


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
    code_digest: str,
    problem: dict = {},  # noqa: B006 - compiled into the package as the default
    data: dict = {},  # noqa: B006
    existing_model: dict = {},  # noqa: B006
    training: dict = {},  # noqa: B006
    acceptance: dict = {},  # noqa: B006
    monitoring: dict = {},  # noqa: B006
    governance: dict = {},  # noqa: B006
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
        runtime_image: Image of every step, and of the model's server.
        code_digest: Identity of the driftloop code; changed code is never a cache hit.
        problem: Group `problem` of the ModelLoop.
        data: Group `data` of the ModelLoop.
        existing_model: Group `model` of the ModelLoop.
        training: Group `training` of the ModelLoop; its random state.
        acceptance: Group `acceptance` of the ModelLoop.
        monitoring: Group `monitoring` of the ModelLoop.
        governance: Group `governance` of the ModelLoop.
    """
    given = Parameters(dict(locals()))
    data_in = bring_data_in(given)
    adopted = adopt(
        table=data_in.collect.outputs["table"],
        **given.pick("loop", "data_uri", "target_column", "task", "data", "model_uri", "existing_model"),
    )
    # What lies at the model's address may change; a run of its own per loop needs no cache.
    adopted.set_caching_options(enable_caching=False)
    model, rows, schema = (adopted.outputs[name] for name in ("model", "rows", "schema"))
    judged = judge_candidate(
        given, model=model, rows=rows, test=rows, schema=schema, trained_through=adopted.outputs["Output"]
    )
    report = adopted.outputs["report"]
    register_candidate(given, data_in=data_in, judged=judged, model=model, test=rows, schema=schema, report=report)
    run_on(runtime_image)
