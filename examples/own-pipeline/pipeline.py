"""A pipeline of your own that uses two of driftloop's components between two of yours.

`python pipeline.py` compiles it to own_pipeline.yaml, which Kubeflow Pipelines takes as it is.
"""

from kfp import compiler, components, dsl

import driftloop

IMAGE = "driftloop-pipeline:latest"
"""Has driftloop, pandas and pyarrow. Your own steps may run on any image that has what they import."""

validate = components.load_component_from_file(driftloop.component("validate"))
split = components.load_component_from_file(driftloop.component("split"))


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def make_rows(count: int, table: dsl.Output[dsl.Dataset]) -> None:
    """Make up a table: whatever yours comes from."""
    import numpy as np
    import pandas as pd

    generator = np.random.default_rng(0)
    height = generator.normal(170, 10, count)
    rows = pd.DataFrame({"height": height, "shoe": (height - 100) / 1.7 + generator.normal(size=count)})
    rows.to_parquet(table.path)


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def count_rows(train: dsl.Input[dsl.Dataset], test: dsl.Input[dsl.Dataset]) -> str:
    """Do what driftloop has no component for."""
    import pandas as pd

    return f"{len(pd.read_parquet(train.path))} rows to fit on, {len(pd.read_parquet(test.path))} that judge"


@dsl.pipeline(name="own-pipeline")
def own_pipeline(count: int = 1000) -> str:
    """Make rows, let driftloop check and split them, count what came out."""
    made = make_rows(count=count)
    validated = validate(
        loop="shoes",
        table=made.outputs["table"],
        data_uri="made up",
        target_column="shoe",
        task="Regression",
        data={},
        champion_uri="",
        code_digest="1",
    )
    parted = split(rows=validated.outputs["rows"], schema=validated.outputs["schema"], training={}, code_digest="1")
    return count_rows(train=parted.outputs["train"], test=parted.outputs["test"]).output


if __name__ == "__main__":
    compiler.Compiler().compile(own_pipeline, "own_pipeline.yaml")
