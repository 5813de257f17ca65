"""Kubeflow face of the stage `package`."""

from typing import NamedTuple

from kfp.dsl import Artifact, Input, Model

from components.stage import stage


@stage
def package(
    loop: str,
    model: Input[Model],
    schema: Input[Artifact],
    baseline: Input[Artifact],
    sample: Input[Artifact],
    evaluation: Input[Artifact],
    explanation: Input[Artifact],
    assessment: Input[Artifact],
    problem: dict,
    data_uri: str,
    data_digest: str,
    data: dict,
    governance: dict,
    store_uri: str,
    runtime_image: str,
    code_digest: str,
) -> NamedTuple("Package", [("bento_tag", str), ("bento_uri", str), ("bento_digest", str)]):
    """Make a Bento of the model and put it into the object store.

    Args:
        loop: Name of the ModelLoop, and of the Bento.
        model: The selected chain.
        schema: What the columns are.
        baseline: What live traffic will be compared with.
        sample: Rows and the answers expected.
        evaluation: What the test rows say.
        explanation: Importance of every column.
        assessment: Metrics by group of people.
        problem: Group `problem` of the ModelLoop, for the model card.
        data_uri: Where the data came from.
        data_digest: Digest of their content, for the manifest.
        data: Group `data` of the ModelLoop, for the model card and the manifest.
        governance: Group `governance` of the ModelLoop, for the model card.
        store_uri: Root of the object store.
        runtime_image: Image that the model shall be served on.
        code_digest: Identity of the driftloop code.

    Returns:
        bento_tag: Tag in the BentoML store.
        bento_uri: Address in the object store.
        bento_digest: Digest of the content.
    """
    import tempfile
    from pathlib import Path

    from driftloop.adapters.bento import build, put, serving_requirements
    from driftloop.spec import DataSchema, GovernanceSpec
    from driftloop.stages.card import build_card
    from driftloop.stages.package import ModelFiles, assemble, data_origin
    from driftloop.stages.parameters import read_data_group, read_problem_group
    from driftloop.stages.records import Assessment, Evaluation, Explanation

    read_schema = DataSchema.model_validate_json(Path(schema.path).read_text())
    read_data = read_data_group(data, uri=data_uri, target_column=read_schema.target.name)
    card = build_card(
        loop,
        read_schema,
        Evaluation.model_validate_json(Path(evaluation.path).read_text()),
        Explanation.model_validate_json(Path(explanation.path).read_text()),
        Assessment.model_validate_json(Path(assessment.path).read_text()),
        problem=read_problem_group(problem, task=read_schema.task),
        data=read_data,
        governance=GovernanceSpec.model_validate(governance),
    )
    artifacts = (model, schema, baseline, sample, evaluation, explanation, assessment)
    with tempfile.TemporaryDirectory() as folder:
        content = assemble(
            Path(folder) / "content",
            ModelFiles(*(Path(artifact.path) for artifact in artifacts)),
            loop=loop,
            card=card,
            requirements=serving_requirements(),
            runtime_image=runtime_image,
            origin=data_origin(read_data, data_digest),
        )
        bento = build(content, loop)
    return (bento.tag, put(bento, content.digest, store_uri), content.digest)
