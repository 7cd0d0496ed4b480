"""Till and service as two processes on real sockets, a faulty proxy between them, the PayMaster simulator behind them.

Both are killed at chosen points and random moments (`rounds`); the bank's books, the till's disk and the journal are
compared at the end.

Run it for longer than the tests do with `make service-rounds SEEDS=n`, or
`python -m tests.verification.service --help`.
"""
