"""The BentoML service: serves the model that lies beside driftloop's own sources in a Bento.

Started by `bentoml serve`. It adds to BentoML's server what BentoML does not know: the application of `serving.app`,
its metrics, and the end of the tap. Importing it loads no model.
"""

from pathlib import Path

import bentoml

from driftloop.serving.app import ServingApp
from driftloop.serving.settings import ServingSettings

CONTENT = Path(__file__).parents[2]
"""The Bento's `src/`. A server runs the sources it was packaged with, so the model is found from them."""

_app = ServingApp()


@bentoml.service(
    name="driftloop",
    workers=1,
    traffic={"timeout": 60, "max_concurrency": 256},
    logging={"access": {"enabled": False}},
    # The rows of a request are few: threads inside one prediction cost more than they save.
    envs=[{"name": "OMP_NUM_THREADS", "value": "1"}],
)
@bentoml.asgi_app(_app, path="/")
class ModelServer:
    """Answers `POST /predict`; see `GET /schema` for the fields."""

    def __init__(self) -> None:
        from driftloop.serving.predictor import load_predictor

        _app.open(load_predictor(CONTENT), ServingSettings())

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    def close(self) -> None:
        """Stop the worker and the tap."""
        _app.close()

    def __metrics__(self, metrics: str) -> str:
        """Add the tap's counters to BentoML's metrics."""
        if _app.tap is None:
            return metrics
        return (
            f"{metrics}"
            "# HELP driftloop_tap_rows_sent_total Rows that the monitor has on disk.\n"
            "# TYPE driftloop_tap_rows_sent_total counter\n"
            f"driftloop_tap_rows_sent_total {_app.tap.sent_rows}\n"
            "# HELP driftloop_tap_rows_resent_total Rows sent again because a connection had ended.\n"
            "# TYPE driftloop_tap_rows_resent_total counter\n"
            f"driftloop_tap_rows_resent_total {_app.tap.resent_rows}\n"
            "# HELP driftloop_tap_rows_held Rows that the monitor is not known to have on disk.\n"
            "# TYPE driftloop_tap_rows_held gauge\n"
            f"driftloop_tap_rows_held {_app.tap.held_rows}\n"
            "# HELP driftloop_tap_rows_dropped_total Rows dropped because the monitor did not keep up.\n"
            "# TYPE driftloop_tap_rows_dropped_total counter\n"
            f"driftloop_tap_rows_dropped_total {_app.tap.dropped_rows}\n"
        )
