"""Kubeflow face of the stage `feasibility`."""

from kfp.dsl import HTML, Artifact, Dataset, Input, Model, Output

from components.stage import stage


@stage
def feasibility(
    loop: str,
    run_key: str,
    run_id: str,
    claimant: str,
    result_uri: str,
    model: Input[Model],
    matrices: Input[Dataset],
    sampled: Input[Dataset],
    train: Input[Dataset],
    test: Input[Dataset],
    schema: Input[Artifact],
    evaluation: Input[Artifact],
    explanation: Input[Artifact],
    all_rows: int,
    task: str,
    problem: dict,
    training: dict,
    max_trials: int,
    data_digest: str,
    result: Output[Artifact],
    report: Output[HTML],
    code_digest: str,
) -> None:
    """Judge whether the problem can be solved with these data, and write the run's one result.

    Args:
        loop: Name of the ModelLoop.
        run_key: Key of the run.
        run_id: Id of this pipeline run.
        claimant: Who claimed the run key in its place, if it is not empty.
        result_uri: Where the result is written, once.
        model: The selected chain.
        matrices: Training and validation rows, prepared.
        sampled: The rows of the run.
        train: Those to fit on.
        test: Those that judge.
        schema: What the columns are.
        evaluation: What the test rows say.
        explanation: Importance of every column.
        all_rows: Rows that the sample was drawn from.
        task: Classification or Regression.
        problem: Group `problem` of the ModelLoop.
        training: Group `training` of the ModelLoop.
        max_trials: Trials of hyperparameters over all algorithms.
        data_digest: Digest of the data.
        result: The result, for the run's page.
        report: The same as a page for people.
        code_digest: Identity of the driftloop code.
    """
    from pathlib import Path

    from driftloop.adapters.objectstore import FsspecStore
    from driftloop.spec import DataSchema, TrainingSpec
    from driftloop.stages.feasibility import build_page, judge, study
    from driftloop.stages.matrices import Matrices
    from driftloop.stages.modelfile import load_model
    from driftloop.stages.parameters import read_problem_group
    from driftloop.stages.records import Evaluation, Explanation
    from driftloop.stages.register import write_result
    from driftloop.stages.tablefile import read_table

    budget = TrainingSpec.model_validate({**training, "maxTrialCount": max_trials})
    threshold = read_problem_group(problem, task=task).metric.threshold
    found = study(
        load_model(Path(model.path)),
        Matrices.load(Path(matrices.path)),
        read_table(train.path),
        read_table(test.path),
        DataSchema.model_validate_json(Path(schema.path).read_text()),
        evaluation=Evaluation.model_validate_json(Path(evaluation.path).read_text()),
        explanation=Explanation.model_validate_json(Path(explanation.path).read_text()),
        training=budget,
    )
    record = judge(
        found,
        loop=loop,
        run_key=run_key,
        run_id=claimant or run_id,
        data_digest=data_digest,
        rows=read_table(sampled.path).num_rows,
        all_rows=all_rows,
        training=budget,
        threshold=threshold,
    )
    Path(report.path).write_text(build_page(record, found, threshold))
    Path(result.path).write_text(record.model_dump_json(by_alias=True, indent=2))
    write_result(FsspecStore(), result_uri, record)
