"""Kubeflow face of the stage `resample`."""

from kfp.dsl import HTML, Artifact, Dataset, Input, Model, Output

from components.stage import stage


@stage
def resample(
    matrices: Input[Dataset],
    cleaned_train: Input[Dataset],
    transformer: Input[Model],
    schema: Input[Artifact],
    task: str,
    preparation: dict,
    training: dict,
    sampling: Output[Dataset],
    report: Output[HTML],
    code_digest: str,
) -> None:
    """Balance rare classes among the training rows, by weights, by drawing rows again, or by making some up.

    Args:
        matrices: Training and validation rows; only training rows are read.
        cleaned_train: Training rows before they became numbers, to leave words out of their texts.
        transformer: Makes numbers of them.
        schema: What the columns are.
        task: Classification or Regression.
        preparation: Group `preparation` of the ModelLoop.
        training: Group `training` of the ModelLoop.
        sampling: Rows and weights to fit on; the metadata tell what was done, and why.
        report: The same as a page.
        code_digest: Identity of the driftloop code.
    """
    from pathlib import Path

    from driftloop.spec import DataSchema, PreparationSpec, Task, TrainingSpec
    from driftloop.stages.matrices import Matrices, load_train_target
    from driftloop.stages.resample import build_page, resample

    spec, seed = PreparationSpec.model_validate(preparation), TrainingSpec.model_validate(training).random_state
    chosen, record = resample(
        load_train_target(Path(matrices.path)),
        Task(task),
        spec.sampling,
        seed=seed,
        load=lambda: Matrices.load(Path(matrices.path)),
    )
    if spec.augmentation not in ("Auto", "None"):
        from driftloop.stages.augment import augment, reworded

        chosen, record = augment(
            chosen,
            record,
            spec.augmentation,
            Matrices.load(Path(matrices.path)),
            Task(task),
            seed=seed,
            reword=lambda random: reworded(
                Path(cleaned_train.path),
                Path(transformer.path),
                DataSchema.model_validate_json(Path(schema.path).read_text()),
                random,
            ),
        )
    chosen.save(Path(sampling.path))
    sampling.metadata.update(record.to_metadata())
    Path(report.path).write_text(build_page(record))
