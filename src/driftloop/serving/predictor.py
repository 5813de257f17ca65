"""The model behind the server: checked, loaded and warmed before the first request, then asked.

Knows nothing of HTTP; used by the service and by the rehearsal.
"""

import gc
import json
from pathlib import Path
from typing import Any

from driftloop.serving.wire import PredictRequest
from driftloop.spec import DataSchema
from driftloop.stages.frame import to_model_frame
from driftloop.stages.modelfile import load_model
from driftloop.stages.package import (
    MODEL_FILE,
    MODEL_FOLDER,
    SAMPLE_FILE,
    SCHEMA_FILE,
    VERSION_LENGTH,
    verify_digests,
)
from driftloop.stages.predict import Answers, predict


class Predictor:
    """One model, ready to answer."""

    def __init__(self, model: Any, schema: DataSchema, version: str) -> None:
        self._model = model
        self.schema = schema
        self.version = version

    def answer(self, request: PredictRequest) -> Answers:
        """Answer the rows of a request."""
        return predict(self._model, to_model_frame(request.columns, self.schema), self.schema)


def load_predictor(content: Path) -> Predictor:
    """Load the model of a Bento's content (its `src/`), after every file was checked against the manifest.

    Answers a row of the sample once, so that the first request finds everything imported, and takes what is loaded out
    of the garbage collector's rounds, which otherwise make the slowest requests.

    Raises:
        ContentDiffersError: a file isn't the one that was packaged.
    """
    digest = verify_digests(content)
    model = load_model(content / MODEL_FOLDER / MODEL_FILE)
    schema = DataSchema.model_validate_json((content / MODEL_FOLDER / SCHEMA_FILE).read_bytes())
    predictor = Predictor(model, schema, digest[:VERSION_LENGTH])
    sample = json.loads((content / MODEL_FOLDER / SAMPLE_FILE).read_bytes())["columns"]
    predictor.answer(PredictRequest({name: values[:1] for name, values in sample.items()}, keys=None, rows=1))
    gc.collect()
    gc.freeze()
    return predictor
