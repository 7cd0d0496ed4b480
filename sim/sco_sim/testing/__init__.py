"""Virtual devices, a simulated PayMaster and a lane for an integrator's tests, with faults and assertions.

The pytest fixtures of `sco_sim.testing.pytest_plugin` make them; they work with any other test framework too. They all
simulate at the wire: the code under test is the code that ships. Needs the extra `simulator`.
"""
