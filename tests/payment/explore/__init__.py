"""Exhaustive exploration of the attempt's machine: `model` is the world around it, `search` walks all of it.

Run it from the repository's root with `make explore`, or a single scenario with
`PYTHONPATH=tests/payment python -m explore --scenario plate --crashes 2`.
"""
