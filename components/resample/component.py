"""Kubeflow face of the stage `resample`."""

from kfp.dsl import HTML, Dataset, Input, Output

from components.stage import stage


@stage
def resample(
    matrices: Input[Dataset],
    task: str,
    preparation: dict,
    training: dict,
    sampling: Output[Dataset],
    report: Output[HTML],
    code_digest: str,
) -> None:
    """Balance rare classes among the training rows, by weights or by drawing rows again.

    Args:
        matrices: Training and validation rows; only the training target is read.
        task: Classification or Regression.
        preparation: Group `preparation` of the ModelLoop.
        training: Group `training` of the ModelLoop.
        sampling: Rows and weights to fit on; the metadata tell what was done, and why.
        report: The same as a page.
        code_digest: Identity of the driftloop code.
    """
    from pathlib import Path

    from driftloop.spec import PreparationSpec, Task, TrainingSpec
    from driftloop.stages.matrices import load_train_target
    from driftloop.stages.resample import build_page, resample

    chosen, record = resample(
        load_train_target(Path(matrices.path)),
        Task(task),
        PreparationSpec.model_validate(preparation).sampling,
        seed=TrainingSpec.model_validate(training).random_state,
    )
    chosen.save(Path(sampling.path))
    sampling.metadata.update(record.to_metadata())
    Path(report.path).write_text(build_page(record))
