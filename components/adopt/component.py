"""Kubeflow face of the stage `adopt`."""

from kfp.dsl import HTML, Artifact, Dataset, Input, Model, Output

from components.stage import stage


@stage
def adopt(
    loop: str,
    table: Input[Dataset],
    data_uri: str,
    target_column: str,
    task: str,
    data: dict,
    model_uri: str,
    existing_model: dict,
    model: Output[Model],
    rows: Output[Dataset],
    schema: Output[Artifact],
    report: Output[Artifact],
    page: Output[HTML],
    code_digest: str,
) -> str:
    """Make a model that was trained elsewhere a candidate, after checking that it answers the data's rows.

    Args:
        loop: Name of the ModelLoop.
        table: The rows as they were collected.
        data_uri: Where they came from.
        target_column: Column to predict.
        task: Classification or Regression.
        data: Group `data` of the ModelLoop.
        model_uri: Address of the model.
        existing_model: Group `model` of the ModelLoop.
        model: The model behind a first link that gives it its columns; the metadata tell where it came from.
        rows: The rows and columns that are used.
        schema: What the columns are.
        report: What was left out, and why.
        page: The state of the data as a page for people.
        code_digest: Identity of the driftloop code.

    Returns:
        Newest time in the rows (ISO 8601), or empty.
    """
    import json
    import tempfile
    from pathlib import Path

    from driftloop.adapters.modelformats import read_model
    from driftloop.adapters.modelsource import fetch_model
    from driftloop.reports.dataquality import build_quality_page
    from driftloop.spec import ModelSpec, Task
    from driftloop.stages.adopt import adopt
    from driftloop.stages.modelfile import save_model
    from driftloop.stages.parameters import read_data_group
    from driftloop.stages.profile import profile
    from driftloop.stages.tablefile import read_table, write_table

    spec = ModelSpec.model_validate({**existing_model, "uri": model_uri})
    with tempfile.TemporaryDirectory() as scratch:
        path = fetch_model(model_uri, Path(scratch))
        foreign = read_model(path, model_uri, serialization=spec.serialization)
    collected, group = read_table(table.path), read_data_group(data, uri=data_uri, target_column=target_column)
    adopted = adopt(foreign, collected, task=Task(task), data=group, input_columns=spec.input_columns)
    save_model(adopted.chain, Path(model.path))
    model.metadata.update(adopted.record.to_metadata())
    write_table(adopted.validated.table, rows.path)
    Path(schema.path).write_text(json.dumps(adopted.validated.schema.to_dict()))
    Path(report.path).write_text(json.dumps(adopted.validated.report.to_dict()))
    Path(page.path).write_text(build_quality_page(profile(collected, adopted.validated, group), loop))
    return adopted.trained_through
