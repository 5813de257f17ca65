"""The feasibility pipeline: the training pipeline on a sample, ending in go or no-go instead of a Bento. It wires."""

from kfp import dsl

from components.clean.component import clean
from components.collect.component import collect
from components.evaluate.component import evaluate
from components.explain.component import explain
from components.feasibility.component import feasibility
from components.resample.component import resample
from components.sample.component import sample
from components.select.component import select
from components.snapshot.component import snapshot
from components.split.component import split
from components.train.component import train
from components.transform.component import transform
from components.validate.component import validate


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
    code_digest: str,
    max_trials: int = 6,
    problem: dict = {},  # noqa: B006 - compiled into the package as the default
    data: dict = {},  # noqa: B006
    preparation: dict = {},  # noqa: B006
    training: dict = {},  # noqa: B006
    monitoring: dict = {},  # noqa: B006
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
        runtime_image: Image of every step.
        code_digest: Identity of the driftloop code; changed code is never a cache hit.
        max_trials: Trials of hyperparameters over all algorithms.
        problem: Group `problem` of the ModelLoop.
        data: Group `data` of the ModelLoop.
        preparation: Group `preparation` of the ModelLoop.
        training: Group `training` of the ModelLoop.
        monitoring: Group `monitoring` of the ModelLoop.
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
        champion_uri="",
        code_digest=code_digest,
    )
    schema = validate_task.outputs["schema"]
    sample_task = sample(rows=validate_task.outputs["rows"], schema=schema, training=training, code_digest=code_digest)
    split_task = split(rows=sample_task.outputs["sampled"], schema=schema, training=training, code_digest=code_digest)
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
        rows=sample_task.outputs["sampled"],
        test=split_task.outputs["test"],
        schema=schema,
        metric=metric,
        trained_through=split_task.outputs["Output"],
        champion_uri="",
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
    feasibility_task = feasibility(
        loop=loop,
        run_key=run_key,
        run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
        result_uri=result_uri,
        model=select_task.outputs["model"],
        matrices=transform_task.outputs["matrices"],
        sampled=sample_task.outputs["sampled"],
        train=split_task.outputs["train"],
        test=split_task.outputs["test"],
        schema=schema,
        evaluation=evaluate_task.outputs["evaluation"],
        explanation=explain_task.outputs["explanation"],
        all_rows=sample_task.outputs["Output"],
        task=task,
        problem=problem,
        training=training,
        max_trials=max_trials,
        data_digest=snapshot_task.output,
        code_digest=code_digest,
    )
    for task_ in (snapshot_task, feasibility_task):
        task_.set_caching_options(enable_caching=False)
    for task_ in (
        snapshot_task, collect_task, validate_task, sample_task, split_task, clean_task, transform_task, resample_task,
        train_task, select_task, evaluate_task, explain_task, feasibility_task,
    ):  # fmt: skip
        task_.set_container_image(runtime_image)
