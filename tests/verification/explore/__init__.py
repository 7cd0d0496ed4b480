"""Exhaustive exploration of the attempt's machine: `model` is the world around it, `search` walks all of it.

Run it from the repository's root with `make explore`, or a single scenario with
`python -m tests.verification.explore --scenario plate --crashes 2`.
"""
