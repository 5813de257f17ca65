"""The monitor's judgement: a closed window of the prediction log and the model's baseline in, a verdict out.

Pure: statistics come from a `DriftTest` engine that the caller passes in; nothing here reads files or clocks.
"""
