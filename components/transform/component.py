"""Kubeflow face of the stage `transform`."""

from kfp.dsl import HTML, Artifact, Dataset, Input, Model, Output

from components.stage import stage


@stage
def transform(
    cleaned_train: Input[Dataset],
    cleaned_validation: Input[Dataset],
    train: Input[Dataset],
    validation: Input[Dataset],
    schema: Input[Artifact],
    preparation: dict,
    training: dict,
    transformer: Output[Model],
    matrices: Output[Dataset],
    report: Output[HTML],
    code_digest: str,
) -> None:
    """Encode and scale: turn cleaned columns into the matrices that estimators take.

    Args:
        cleaned_train: Training rows without missing values; the transformer is fitted on these only.
        cleaned_validation: Validation rows without missing values.
        train: All training rows, for the target of those that are left.
        validation: Validation rows, for their target.
        schema: What the columns are.
        preparation: Group `preparation` of the ModelLoop.
        training: Group `training` of the ModelLoop.
        transformer: What was fitted.
        matrices: Numbers and targets of both parts, and what the columns are.
        report: How columns become numbers, and why, as a page.
        code_digest: Identity of the driftloop code.
    """
    from pathlib import Path

    from driftloop.spec import DataSchema, PreparationSpec, TrainingSpec
    from driftloop.stages.matrices import Matrices
    from driftloop.stages.modelfile import save_model
    from driftloop.stages.preparationpages import build_transformation_page
    from driftloop.stages.table import outcome, read_frame, read_target, target_columns
    from driftloop.stages.tablefile import read_table
    from driftloop.stages.transform import fit_transformer

    read_schema = DataSchema.model_validate_json(Path(schema.path).read_text())
    spec, seed = PreparationSpec.model_validate(preparation), TrainingSpec.model_validate(training).random_state
    target = target_columns(read_schema)
    frame = read_frame(cleaned_train.path)
    rows = frame.index.to_numpy()
    y = read_target(read_table(train.path, target), read_schema)[rows]
    made = fit_transformer(frame, outcome(y, read_schema), read_schema, spec, seed=seed)
    save_model(made.transformer, Path(transformer.path))
    Path(report.path).write_text(build_transformation_page(made.record))
    validation_x = made.transformer.transform(read_frame(cleaned_validation.path))
    validation_y = read_target(read_table(validation.path, target), read_schema)
    Matrices(made.matrix, y, validation_x, validation_y, made.columns, rows).save(Path(matrices.path))
