"""The adoption pipeline: makes a model that was trained elsewhere a candidate. It wires; components do the work."""

from kfp import dsl

from components.adopt.component import adopt
from components.assess.component import assess
from components.collect.component import collect
from components.evaluate.component import evaluate
from components.explain.component import explain
from components.package.component import package
from components.register.component import register
from components.snapshot.component import snapshot
from components.verify.component import verify


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
    snapshot_task = snapshot(
        loop=loop,
        data_uri=data_uri,
        run_key=run_key,
        result_uri=result_uri,
        run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
        code_digest=code_digest,
    )
    collect_task = collect(
        data_uri=data_uri,
        data_digest=snapshot_task.output,
        target_column=target_column,
        data=data,
        code_digest=code_digest,
    )
    adopt_task = adopt(
        loop=loop,
        table=collect_task.outputs["table"],
        data_uri=data_uri,
        target_column=target_column,
        task=task,
        data=data,
        model_uri=model_uri,
        existing_model=existing_model,
        code_digest=code_digest,
    )
    schema = adopt_task.outputs["schema"]
    evaluate_task = evaluate(
        loop=loop,
        model=adopt_task.outputs["model"],
        rows=adopt_task.outputs["rows"],
        test=adopt_task.outputs["rows"],
        schema=schema,
        metric=metric,
        trained_through=adopt_task.outputs["Output"],
        champion_uri="",
        training=training,
        monitoring=monitoring,
        code_digest=code_digest,
    )
    explain_task = explain(
        model=adopt_task.outputs["model"],
        test=adopt_task.outputs["rows"],
        schema=schema,
        metric=metric,
        training=training,
        code_digest=code_digest,
    )
    assess_task = assess(
        model=adopt_task.outputs["model"],
        test=adopt_task.outputs["rows"],
        schema=schema,
        metric=metric,
        data_uri=data_uri,
        data=data,
        code_digest=code_digest,
    )
    package_task = package(
        loop=loop,
        model=adopt_task.outputs["model"],
        schema=schema,
        baseline=evaluate_task.outputs["baseline"],
        sample=evaluate_task.outputs["sample"],
        evaluation=evaluate_task.outputs["evaluation"],
        explanation=explain_task.outputs["explanation"],
        assessment=assess_task.outputs["assessment"],
        problem=problem,
        data_uri=data_uri,
        data=data,
        governance=governance,
        store_uri=store_uri,
        runtime_image=runtime_image,
        code_digest=code_digest,
    )
    # The Bento goes on as address and digest: equal content has equal ones, so that a packaging step that is never
    # cached does not make the steps behind it miss the cache.
    verify_task = verify(
        bento_uri=package_task.outputs["bento_uri"],
        bento_digest=package_task.outputs["bento_digest"],
        code_digest=code_digest,
    )
    register_task = register(
        loop=loop,
        run_key=run_key,
        run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
        result_uri=result_uri,
        evaluation=evaluate_task.outputs["evaluation"],
        against_champion=evaluate_task.outputs["against_champion"],
        explanation=explain_task.outputs["explanation"],
        assessment=assess_task.outputs["assessment"],
        report=adopt_task.outputs["report"],
        latency_seconds=verify_task.output,
        task=task,
        problem=problem,
        acceptance=acceptance,
        bento_tag=package_task.outputs["bento_tag"],
        bento_uri=package_task.outputs["bento_uri"],
        bento_digest=package_task.outputs["bento_digest"],
        data_digest=snapshot_task.output,
        runtime_image=runtime_image,
        code_digest=code_digest,
    )
    # What lies at the model's address may change; a run of its own per loop needs no cache.
    for task_ in (snapshot_task, adopt_task, package_task, register_task):
        task_.set_caching_options(enable_caching=False)
    for task_ in (
        snapshot_task, collect_task, adopt_task, evaluate_task, explain_task, assess_task, package_task, verify_task,
        register_task,
    ):  # fmt: skip
        task_.set_container_image(runtime_image)
