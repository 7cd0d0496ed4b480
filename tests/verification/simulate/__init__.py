"""Deterministic simulation of the real lane: the production `Lane`, `Journal`, PayMaster client, presenter, printer and
tag drivers, on one thread, in simulated time, under a seed that decides all that may happen.

Only what lies outside is simulated: the wire to the acquirer (bytes, in place of the socket), the acquirer (the
shipped simulator's HTTP application and books), the file system's errors, the wires of printer and reader (bytes, into
the shipped simulators' chips), customers, the clock, and the power. The screen is simulated at the `Screen` protocol:
scenes, not pixels, since drawing takes longer than all the rest.

Run it from the repository's root with `make simulate SEEDS=1000 SEED_BASE=1`, one seed with its whole trace with
`python -m tests.verification.simulate --seed 17 --trace`.
"""
