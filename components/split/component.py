"""Kubeflow face of the stage `split`."""

from kfp.dsl import Artifact, Dataset, Input, Output

from components.stage import stage


@stage
def split(
    rows: Input[Dataset],
    schema: Input[Artifact],
    training: dict,
    train: Output[Dataset],
    validation: Output[Dataset],
    test: Output[Dataset],
    code_digest: str,
    problem: dict = {},  # noqa: B006 - compiled as the default, for people's own pipelines
    acceptance: dict = {},  # noqa: B006
) -> str:
    """Part the rows: 70 % to fit on, 15 % to tune on, 15 % that judge once.

    Refuses a rule of decision that does not fit the target's classes, before anything is fitted.

    Args:
        rows: Validated rows.
        schema: What the columns are.
        training: Group `training` of the ModelLoop.
        train: Rows to fit on; with a time column the oldest.
        validation: Rows to tune on.
        test: Rows that judge; with a time column the newest.
        code_digest: Identity of the driftloop code.
        problem: Group `problem` of the ModelLoop; its outcomes must be of classes that there are.
        acceptance: Group `acceptance` of the ModelLoop; its mitigation must suit the classes.

    Returns:
        Newest time in the training rows (ISO 8601); empty without a time column.
    """
    from pathlib import Path

    from driftloop.spec import AcceptanceSpec, DataSchema, TrainingSpec
    from driftloop.stages.adjust import check_decision
    from driftloop.stages.parameters import read_problem_group
    from driftloop.stages.split import split
    from driftloop.stages.tablefile import read_table, write_table

    seed = TrainingSpec.model_validate(training).random_state
    read_schema = DataSchema.model_validate_json(Path(schema.path).read_text())
    check_decision(
        read_problem_group(problem, task=read_schema.task), AcceptanceSpec.model_validate(acceptance), read_schema
    )
    parts = split(read_table(rows.path), read_schema, seed=seed)
    for part, output in ((parts.train, train), (parts.validation, validation), (parts.test, test)):
        write_table(part, output.path)
    return parts.trained_through.isoformat() if parts.trained_through else ""
