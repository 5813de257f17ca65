"""The replay lab: recorded or generated traffic through the real monitor and decision code, in event time."""
