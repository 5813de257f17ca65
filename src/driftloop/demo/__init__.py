"""The demo: a year of real flights, replayed as live traffic through a real loop."""
