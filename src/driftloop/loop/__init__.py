"""The controller's pure heart: what happened (history), what to do now (decide), what to show (status)."""
