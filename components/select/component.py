"""Kubeflow face of the stage `select`."""

from kfp.dsl import Input, Model, Output

from components.stage import stage


@stage
def select(candidates: Input[list[Model]], model: Output[Model], code_digest: str) -> None:
    """Pick the candidate that did best on the validation rows.

    Args:
        candidates: One model per algorithm, its metadata telling how it did.
        model: The best.
        code_digest: Identity of the driftloop code.
    """
    import shutil

    from driftloop.stages.records import CandidateRecord
    from driftloop.stages.select import select

    records = [CandidateRecord.from_metadata(candidate.metadata) for candidate in candidates]
    best = select(records)
    shutil.copyfile(candidates[best].path, model.path)
    model.metadata.update(records[best].to_metadata())
