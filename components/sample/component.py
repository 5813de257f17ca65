"""Kubeflow face of the stage `sample`."""

from kfp.dsl import Artifact, Dataset, Input, Output

from components.stage import stage


@stage
def sample(
    rows: Input[Dataset],
    schema: Input[Artifact],
    training: dict,
    sampled: Output[Dataset],
    code_digest: str,
) -> int:
    """Take fewer rows for a proof of concept, each class in its share and the whole period covered.

    Args:
        rows: Validated rows.
        schema: What the columns are.
        training: Group `training` of the ModelLoop.
        sampled: At most 5,000 of them, in the order of time where there is a time column.
        code_digest: Identity of the driftloop code.

    Returns:
        Rows that there were.
    """
    from pathlib import Path

    from driftloop.spec import DataSchema, TrainingSpec
    from driftloop.stages.sample import sample
    from driftloop.stages.tablefile import read_table, write_table

    table = read_table(rows.path)
    read_schema = DataSchema.model_validate_json(Path(schema.path).read_text())
    seed = TrainingSpec.model_validate(training).random_state
    write_table(sample(table, read_schema, seed=seed), sampled.path)
    return int(table.num_rows)
