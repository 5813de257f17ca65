"""The training pipeline: one package for every loop, varied by parameters. It wires; components do the work."""

from kfp import dsl

from components.assess.component import assess
from components.clean.component import clean
from components.collect.component import collect
from components.evaluate.component import evaluate
from components.explain.component import explain
from components.package.component import package
from components.register.component import register
from components.resample.component import resample
from components.select.component import select
from components.snapshot.component import snapshot
from components.split.component import split
from components.train.component import train
from components.transform.component import transform
from components.validate.component import validate
from components.verify.component import verify


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
        runtime_image: Image of every step, and of the model's server.
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
    validate_task = validate(
        loop=loop,
        table=collect_task.outputs["table"],
        data_uri=data_uri,
        target_column=target_column,
        task=task,
        data=data,
        champion_uri=champion_uri,
        code_digest=code_digest,
    )
    schema = validate_task.outputs["schema"]
    split_task = split(rows=validate_task.outputs["rows"], schema=schema, training=training, code_digest=code_digest)
    clean_task = clean(
        train=split_task.outputs["train"],
        validation=split_task.outputs["validation"],
        schema=schema,
        preparation=preparation,
        code_digest=code_digest,
    )
    transform_task = transform(
        cleaned_train=clean_task.outputs["cleaned_train"],
        cleaned_validation=clean_task.outputs["cleaned_validation"],
        train=split_task.outputs["train"],
        validation=split_task.outputs["validation"],
        schema=schema,
        preparation=preparation,
        training=training,
        code_digest=code_digest,
    )
    resample_task = resample(
        matrices=transform_task.outputs["matrices"],
        task=task,
        preparation=preparation,
        training=training,
        code_digest=code_digest,
    )
    with dsl.ParallelFor(items=algorithms, name="candidates") as algorithm:
        train_task = train(
            algorithm=algorithm,
            algorithms=algorithms,
            matrices=transform_task.outputs["matrices"],
            sampling=resample_task.outputs["sampling"],
            cleaner=clean_task.outputs["cleaner"],
            transformer=transform_task.outputs["transformer"],
            schema=schema,
            metric=metric,
            max_trials=max_trials,
            training=training,
            code_digest=code_digest,
        )
    select_task = select(candidates=dsl.Collected(train_task.outputs["candidate"]), code_digest=code_digest)
    evaluate_task = evaluate(
        loop=loop,
        model=select_task.outputs["model"],
        rows=validate_task.outputs["rows"],
        test=split_task.outputs["test"],
        schema=schema,
        metric=metric,
        trained_through=split_task.outputs["Output"],
        champion_uri=champion_uri,
        training=training,
        monitoring=monitoring,
        code_digest=code_digest,
    )
    explain_task = explain(
        model=select_task.outputs["model"],
        test=split_task.outputs["test"],
        schema=schema,
        metric=metric,
        training=training,
        code_digest=code_digest,
    )
    assess_task = assess(
        model=select_task.outputs["model"],
        test=split_task.outputs["test"],
        schema=schema,
        metric=metric,
        data_uri=data_uri,
        data=data,
        code_digest=code_digest,
    )
    package_task = package(
        loop=loop,
        model=select_task.outputs["model"],
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
        report=validate_task.outputs["report"],
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
    for task_ in (snapshot_task, package_task, register_task):
        task_.set_caching_options(enable_caching=False)
    for task_ in (
        snapshot_task, collect_task, validate_task, split_task, clean_task, transform_task, resample_task, train_task,
        select_task, evaluate_task, explain_task, assess_task, package_task, verify_task, register_task,
    ):  # fmt: skip
        task_.set_container_image(runtime_image)
