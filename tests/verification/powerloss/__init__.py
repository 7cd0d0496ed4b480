"""Power loss under the journal: the production `Journal` writes through a recorded disk (`recorder`), the power is cut
after every operation of the record (`disk` models what may be on the platters then), and the production `Journal` on
the standard library's SQLite must find all that was acknowledged, and whole transactions only (`check`).

Run it wider than the tests do with `make powerloss`, or `python -m tests.verification.powerloss --help`.
"""
