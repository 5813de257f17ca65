"""Kubeflow face of the stage `explain`."""

from kfp.dsl import HTML, Artifact, Dataset, Input, Model, Output

from components.stage import stage


@stage
def explain(
    model: Input[Model],
    test: Input[Dataset],
    schema: Input[Artifact],
    metric: str,
    training: dict,
    explanation: Output[Artifact],
    report: Output[HTML],
    code_digest: str,
) -> None:
    """Measure which columns the selected model looks at, by shuffling each over the test rows.

    Args:
        model: The selected chain.
        test: Rows that nothing was fitted or tuned on.
        schema: What the columns are.
        metric: Metric whose loss is measured.
        training: Group `training` of the ModelLoop.
        explanation: Importance of every column.
        report: The same as a page.
        code_digest: Identity of the driftloop code.
    """
    import json
    from pathlib import Path

    from driftloop.spec import DataSchema, TrainingSpec
    from driftloop.stages.explain import build_page, explain
    from driftloop.stages.modelfile import load_model
    from driftloop.stages.tablefile import read_table

    found = explain(
        load_model(Path(model.path)),
        read_table(test.path),
        DataSchema.model_validate_json(Path(schema.path).read_text()),
        metric=metric,
        seed=TrainingSpec.model_validate(training).random_state,
    )
    Path(explanation.path).write_text(json.dumps(found.to_dict()))
    Path(report.path).write_text(build_page(found))
