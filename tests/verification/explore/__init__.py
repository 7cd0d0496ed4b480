"""Exhaustive exploration of the attempt's machine: `model` is the environment it meets, `search` visits every state.

Run it from the repository's root with `make explore`, or a single scenario with
`python -m tests.verification.explore --scenario plate --crashes 2`.
"""
