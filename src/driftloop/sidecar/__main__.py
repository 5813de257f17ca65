"""`python -m driftloop.sidecar [ROLE]`: the monitor's processes, by role; without one: their supervisor."""

import logging
import sys

from pydantic import ValidationError

from driftloop.errors import DriftloopError
from driftloop.sidecar.settings import MonitorSettings

_log = logging.getLogger("driftloop.sidecar")


def main(arguments: list[str]) -> int:
    """Run one of the processes and return its exit code; 2 for settings that can't work."""
    role = arguments[0] if arguments else "supervisor"
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format=f"%(asctime)s %(levelname)s {role} %(name)s: %(message)s"
    )
    try:
        settings = MonitorSettings()
    except ValidationError as error:
        from driftloop.sidecar.wire import first_problem  # late: with it come Arrow and the whole spec

        name, reason = first_problem(error)
        _log.error("The setting DRIFTLOOP_MONITOR_%s is wrong: %s.", name.upper(), reason)
        return 2
    try:
        return _run(role, settings)
    except DriftloopError as error:
        _log.error("%s", error)
        return error.exit_code


def _run(role: str, settings: MonitorSettings) -> int:
    # Late: the supervisor stays small, and only the evaluator loads the drift tests.
    if role == "supervisor":
        from driftloop.sidecar.supervisor import monitor_children, supervise

        supervise(monitor_children(settings))
    elif role == "intake":
        from driftloop.sidecar.intake import main as run_intake

        run_intake(settings)
    elif role == "evaluator":
        from driftloop.sidecar.evaluator import main as run_evaluator

        run_evaluator(settings)
    elif role == "labels":
        from driftloop.sidecar.labelpoll import main as run_label_poll

        run_label_poll(settings)
    elif role in ("ship", "ship-rest"):
        from driftloop.sidecar.ship import main as run_ship

        run_ship(settings, rest_only=role == "ship-rest")
    elif role == "leader":
        from driftloop.sidecar.leader import main as run_leader

        run_leader(settings)
    else:
        _log.error(
            "The role must be 'intake', 'evaluator', 'labels', 'ship', 'ship-rest', 'leader' or absent. Got '%s'.", role
        )
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
