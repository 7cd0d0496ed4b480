"""Mutation testing of what decides about money: each small mistake that can be planted in a module, one at a time, and
the focused tests of that module run against it. Run it with `make mutation`, or `python -m mutation --help`;
docs/mutation.md explains the survivors. It is our own, since mutmut copies the tree and starts anew for each run: this
forks a process that has everything but the module in memory.
"""
