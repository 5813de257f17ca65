"""Kubeflow face of the stage `validate`."""

from kfp.dsl import HTML, Artifact, Dataset, Input, Output

from components.stage import stage


@stage
def validate(
    loop: str,
    table: Input[Dataset],
    data_uri: str,
    target_column: str,
    task: str,
    data: dict,
    champion_uri: str,
    rows: Output[Dataset],
    schema: Output[Artifact],
    report: Output[Artifact],
    page: Output[HTML],
    code_digest: str,
) -> None:
    """Infer the schema; leave out the rows and columns that no model can use; say what the rest are like.

    Args:
        loop: Name of the ModelLoop.
        table: The rows as they were collected.
        data_uri: Where they came from.
        target_column: Column to predict.
        task: Classification or Regression.
        data: Group `data` of the ModelLoop.
        champion_uri: Bento of the model that serves now, whose inputs are kept; empty for a first model.
        rows: The rows and columns that are used.
        schema: What the columns are.
        report: What was left out and why, and what the rows are like: amount, quality, leaks, relevance, diversity.
        page: What came in, column by column.
        code_digest: Identity of the driftloop code.
    """
    import json
    from pathlib import Path

    from driftloop.adapters.bento import fetched
    from driftloop.reports.dataquality import build_quality_page
    from driftloop.spec import DataSchema, Task
    from driftloop.stages.checkup import checked
    from driftloop.stages.package import MODEL_FOLDER, SCHEMA_FILE
    from driftloop.stages.parameters import read_data_group
    from driftloop.stages.profile import profile
    from driftloop.stages.tablefile import read_table, write_table
    from driftloop.stages.validate import validate

    spec = read_data_group(data, uri=data_uri, target_column=target_column)
    champion = None
    if champion_uri:
        with fetched(champion_uri) as content:
            champion = DataSchema.model_validate_json((content / MODEL_FOLDER / SCHEMA_FILE).read_bytes())
    collected = read_table(table.path)
    validated = checked(validate(collected, task=Task(task), data=spec, champion=champion), spec)
    write_table(validated.table, rows.path)
    Path(schema.path).write_text(json.dumps(validated.schema.to_dict()))
    Path(report.path).write_text(json.dumps(validated.report.to_dict()))
    Path(page.path).write_text(build_quality_page(profile(collected, validated, spec), loop))
