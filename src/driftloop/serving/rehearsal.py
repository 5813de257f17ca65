"""The rehearsal of a Bento: its own model, behind its own sources, answers its own sample (`python -m ...` in `src/`).

Started by the stage `verify` in a process of its own; prints one JSON object. It judges nothing.
"""

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

from driftloop.serving.predictor import Predictor, load_predictor
from driftloop.serving.wire import read_predict
from driftloop.stages.package import MODEL_FOLDER, SAMPLE_FILE

CONTENT = Path(__file__).parents[2]
ONE_ROW_REPEATS = 200


def rehearse(predictor: Predictor, sample: dict[str, Any]) -> dict[str, Any]:
    """Return the answers to the sample, and the seconds of one-row requests from the body to the answer."""
    columns = sample["columns"]
    rows = len(sample["predictions"])
    answers = predictor.answer(_request(predictor, columns))
    seconds = []
    for repeat in range(ONE_ROW_REPEATS):
        row = repeat % rows
        body = _body({name: values[row : row + 1] for name, values in columns.items()})
        start = time.perf_counter()
        predictor.answer(read_predict(body, predictor.schema, max_rows=1))
        seconds.append(time.perf_counter() - start)
    return {"predictions": answers.predictions, "probabilities": answers.probabilities, "seconds": seconds}


def _request(predictor: Predictor, columns: dict[str, Any]) -> Any:
    return read_predict(_body(columns), predictor.schema, max_rows=sys.maxsize)


def _body(columns: dict[str, Any]) -> bytes:
    return json.dumps({"columns": columns}).encode()


def main() -> None:
    """Rehearse the Bento this module lies in."""
    predictor = load_predictor(CONTENT)
    sample = json.loads((CONTENT / MODEL_FOLDER / SAMPLE_FILE).read_bytes())
    facts = rehearse(predictor, sample)
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # on Linux
    print(json.dumps(facts | {"peakMemoryBytes": kilobytes * 1024}))


if __name__ == "__main__":
    main()
