"""Mutation testing of what decides about money: each small change to a module that could be a mistake, one at a time,
and the focused tests of that module run against it. Run it with `make mutation`, or
`python -m tests.verification.mutation --help`; docs/mutation.md explains the survivors, and why this is not mutmut.

Each mutant runs in a fork of a process that has everything but the module in memory.
"""
