"""Kubeflow face of the stage `assess`."""

from kfp.dsl import HTML, Artifact, Dataset, Input, Model, Output

from components.stage import stage


@stage
def assess(
    model: Input[Model],
    test: Input[Dataset],
    schema: Input[Artifact],
    evaluation: Input[Artifact],
    baseline: Input[Artifact],
    sample: Input[Artifact],
    metric: str,
    data_uri: str,
    data: dict,
    assessment: Output[Artifact],
    report: Output[HTML],
    code_digest: str,
) -> None:
    """Compare how the selected model treats groups of people, and tell what the package gives away of them.

    Args:
        model: The selected chain.
        test: Rows that nothing was fitted or tuned on, with their sensitive columns.
        schema: What the columns are.
        evaluation: What the test rows say.
        baseline: What live traffic will be compared with; read for what it tells of people.
        sample: Rows that the package carries.
        metric: Metric to show for each group.
        data_uri: Where the rows came from.
        data: Group `data` of the ModelLoop; names the sensitive columns.
        assessment: Metrics by group and the differences between groups.
        report: The same as a page.
        code_digest: Identity of the driftloop code.
    """
    import json
    from functools import partial
    from pathlib import Path

    from driftloop.spec import DataSchema
    from driftloop.stages.assess import assess, build_page
    from driftloop.stages.modelfile import load_model
    from driftloop.stages.packageprivacy import inspect_package
    from driftloop.stages.parameters import read_data_group
    from driftloop.stages.records import Evaluation
    from driftloop.stages.tablefile import read_table

    read_schema = DataSchema.model_validate_json(Path(schema.path).read_text())
    spec = read_data_group(data, uri=data_uri, target_column=read_schema.target.name)
    found = assess(
        partial(load_model, Path(model.path)),
        read_table(test.path),
        read_schema,
        sensitive_columns=spec.sensitive_columns,
        metric=metric,
    )
    judged = Evaluation.model_validate_json(Path(evaluation.path).read_text())
    privacy = inspect_package(
        json.loads(Path(baseline.path).read_text()), json.loads(Path(sample.path).read_text()), judged
    )
    found = found.model_copy(update={"privacy": privacy, "decision": judged.decision})
    Path(assessment.path).write_text(json.dumps(found.to_dict()))
    Path(report.path).write_text(build_page(found))
