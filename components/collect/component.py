"""Kubeflow face of the stage `collect`."""

from kfp.dsl import Dataset, Output

from components.stage import stage


@stage
def collect(
    data_uri: str, data_digest: str, target_column: str, data: dict, table: Output[Dataset], code_digest: str
) -> None:
    """Bring the data in, as one Parquet table.

    Args:
        data_uri: CSV or Parquet file, folder or pattern, or a file that names rows of the prediction log.
        data_digest: Content that the run is about; other content is refused.
        target_column: Column to predict.
        data: Group `data` of the ModelLoop.
        table: The rows as they are.
        code_digest: Identity of the driftloop code.
    """
    import tempfile
    from pathlib import Path

    from driftloop.adapters.datastore import open_data
    from driftloop.adapters.loggedtable import collect_logged
    from driftloop.spec import is_training_rows
    from driftloop.stages.collect import collect, fetch
    from driftloop.stages.parameters import read_data_group
    from driftloop.stages.tablefile import write_table

    spec = read_data_group(data, uri=data_uri, target_column=target_column)
    with tempfile.TemporaryDirectory() as folder:
        paths = fetch(open_data(data_uri), data_uri, digest=data_digest, folder=Path(folder))
        rows = collect_logged(paths[0], spec) if is_training_rows(data_uri) else collect(paths, spec)
        write_table(rows, table.path)
