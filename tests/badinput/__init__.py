"""Every bad input, each with the whole message that a person gets.

Loop files, tables, CSV readings and runs are here, and what can be seen from outside of a running loop. What needs a
loop to be broken from inside is tested where it is mended: killed servers and full disks in `tests/controller`, damaged
and truncated segments in `tests/predictionlog`, late and contradictory labels in `tests/predictionlog` and
`tests/sidecar`.
"""
