"""Kubeflow face of the stage `explain`."""

from kfp.dsl import HTML, Artifact, Dataset, Input, Model, Output

from components.stage import stage


@stage
def explain(
    model: Input[Model],
    test: Input[Dataset],
    matrices: Input[Dataset],
    schema: Input[Artifact],
    metric: str,
    training: dict,
    explanation: Output[Artifact],
    report: Output[HTML],
    code_digest: str,
) -> None:
    """Measure which columns the selected model looks at, by shuffling each over the test rows and by Shapley values.

    Args:
        model: The selected chain.
        test: Rows that nothing was fitted or tuned on.
        matrices: Tells which input each matrix column comes from; not read for a model made elsewhere.
        schema: What the columns are.
        metric: Metric whose loss is measured.
        training: Group `training` of the ModelLoop.
        explanation: Importance of every column, and why some rows got their answers.
        report: The same as a page.
        code_digest: Identity of the driftloop code.
    """
    import json
    from pathlib import Path

    from driftloop.spec import DataSchema, TrainingSpec
    from driftloop.stages.attributions import attribute
    from driftloop.stages.explain import build_page, explain
    from driftloop.stages.matrices import load_matrix_columns
    from driftloop.stages.modelfile import load_model
    from driftloop.stages.records import CandidateRecord
    from driftloop.stages.tablefile import read_table

    chain, tested = load_model(Path(model.path)), read_table(test.path)
    read_schema = DataSchema.model_validate_json(Path(schema.path).read_text())
    seed = TrainingSpec.model_validate(training).random_state
    is_foreign = bool(CandidateRecord.from_metadata(model.metadata).origin)
    columns = () if is_foreign else load_matrix_columns(Path(matrices.path))
    found = explain(chain, tested, read_schema, metric=metric, seed=seed)
    found = found.model_copy(update={"attributions": attribute(chain, tested, read_schema, columns, seed=seed)})
    Path(explanation.path).write_text(json.dumps(found.to_dict()))
    Path(report.path).write_text(build_page(found))
