"""Exhaustive exploration of the protocol between till, service and bank. `model` is the parties and what is between
them, `search` visits every state and asks of each whether it can still come to an end, `faults` are the mistakes.

Run it from the repository's root with `make protocol`, or a single scenario with
`python -m tests.verification.protocol --scenario again --wider`.
"""
