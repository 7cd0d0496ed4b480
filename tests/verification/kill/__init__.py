"""`kill -9` on the real process: `sco-pay` as it ships, against the PayMaster simulator over HTTP, killed at a chosen
point (`child`) or at any moment, recovered (and killed while it recovers), and judged by the acquirer's own books
(`rounds`).

Run it for longer than the tests do with `make kill ROUNDS=n`, or `python -m tests.verification.kill --help`.
"""
