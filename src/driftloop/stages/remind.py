"""What recurs by `retraining.schedule`: a request to retrain is filed. It trains nothing; the controller answers it.

The request is a create-only object named by its moment, so that a moment asks once, however often its step is tried.
Its form is `loop.requests.Request`.
"""

import json
import re
from datetime import datetime

from driftloop.stages.store import ObjectStore

BY = "schedule"


def request_id(moment: str, now: datetime) -> str:
    """Return the id of a moment's request.

    Args:
        moment: what names the moment, the same for every try: what the scheduler puts in, such as `201303010300`.
            One that put nothing in leaves its placeholder, such as `[[CurrentTime]]`; then the minute counts.
        now: the clock.

    >>> request_id("wine-29391480", datetime(2013, 3, 1, 3, 0, 7))
    'schedule-wine-29391480'
    >>> request_id("[[CurrentTime]]", datetime(2013, 3, 1, 3, 0, 7))
    'schedule-201303010300'
    """
    named = re.fullmatch(r"[0-9A-Za-z-]+", moment)
    return f"{BY}-{moment[-50:] if named else f'{now:%Y%m%d%H%M}'}"


def file_request(store: ObjectStore, requests_uri: str, *, moment: str, schedule: str, now: datetime) -> str:
    """File the request of a moment and return its address; one that is filed already stays as it is."""
    identity = request_id(moment, now)
    uri = f"{requests_uri.rstrip('/')}/{identity}.json"
    request = {
        "id": identity,
        "at": now.isoformat(),
        "by": BY,
        "action": {"verb": "Retrain", "reason": f"retraining.schedule {schedule}"},
    }
    try:
        store.create(uri, json.dumps(request).encode())
    except FileExistsError:
        return uri
    return uri
