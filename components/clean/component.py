"""Kubeflow face of the stage `clean`."""

from kfp.dsl import Artifact, Dataset, Input, Output

from components.stage import stage


@stage
def clean(
    train: Input[Dataset],
    validation: Input[Dataset],
    schema: Input[Artifact],
    preparation: dict,
    cleaner: Output[Artifact],
    cleaned_train: Output[Dataset],
    cleaned_validation: Output[Dataset],
    code_digest: str,
) -> None:
    """Fill missing values, with values learned from the training rows.

    Args:
        train: Rows to learn from.
        validation: Rows to fill as well.
        schema: What the columns are.
        preparation: Group `preparation` of the ModelLoop.
        cleaner: What was learned.
        cleaned_train: Training rows without missing values.
        cleaned_validation: Validation rows without missing values.
        code_digest: Identity of the driftloop code.
    """
    from pathlib import Path

    from driftloop.spec import DataSchema, PreparationSpec
    from driftloop.stages.clean import fit_cleaner
    from driftloop.stages.table import read_features
    from driftloop.stages.tablefile import read_table

    read_schema = DataSchema.model_validate_json(Path(schema.path).read_text())
    frame = read_features(read_table(train.path), read_schema)
    fitted = fit_cleaner(frame, read_schema, PreparationSpec.model_validate(preparation))
    fitted.save(Path(cleaner.path))
    fitted.transform(frame).to_parquet(cleaned_train.path)
    frame = read_features(read_table(validation.path), read_schema)
    fitted.transform(frame).to_parquet(cleaned_validation.path)
