"""Kubeflow face of the stage `clean`."""

from kfp.dsl import HTML, Artifact, Dataset, Input, Output

from components.stage import stage


@stage
def clean(
    train: Input[Dataset],
    validation: Input[Dataset],
    schema: Input[Artifact],
    preparation: dict,
    training: dict,
    cleaner: Output[Artifact],
    cleaned_train: Output[Dataset],
    cleaned_validation: Output[Dataset],
    report: Output[HTML],
    code_digest: str,
) -> None:
    """Fill what is missing, and treat outliers and noise, by what the training rows teach.

    Args:
        train: Rows to learn from.
        validation: Rows to fill as well.
        schema: What the columns are.
        preparation: Group `preparation` of the ModelLoop.
        training: Group `training` of the ModelLoop.
        cleaner: What was learned.
        cleaned_train: Training rows without missing values, those that are left; their index is their position.
        cleaned_validation: Validation rows without missing values, all of them.
        report: What was done, and why, as a page.
        code_digest: Identity of the driftloop code.
    """
    from pathlib import Path

    from driftloop.spec import DataSchema, PreparationSpec, Task, TrainingSpec
    from driftloop.stages.clean import clean_training_rows
    from driftloop.stages.preparationpages import build_cleaning_page
    from driftloop.stages.table import read_features, read_target
    from driftloop.stages.tablefile import read_table

    read_schema = DataSchema.model_validate_json(Path(schema.path).read_text())
    spec, seed = PreparationSpec.model_validate(preparation), TrainingSpec.model_validate(training).random_state
    frame, labels = read_features(read_table(train.path, read_schema.feature_names), read_schema), None
    if read_schema.task is Task.CLASSIFICATION:
        labels = read_target(read_table(train.path, [read_schema.target.name]), read_schema)
    cleaned = clean_training_rows(frame, labels, read_schema, spec, seed=seed)
    cleaned.cleaner.save(Path(cleaner.path))
    cleaned.frame.to_parquet(cleaned_train.path)
    Path(report.path).write_text(build_cleaning_page(cleaned.record))
    frame = read_features(read_table(validation.path, read_schema.feature_names), read_schema)
    cleaned.cleaner.transform(frame).to_parquet(cleaned_validation.path)
