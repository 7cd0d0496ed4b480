"""Virtual devices, a virtual bank and a lane for an integrator's tests, with faults and assertions in plain words.

The pytest fixtures of `sco_sim.testing.pytest_plugin` make them; they serve any other test framework as well. All of them
sit at the wire: the code under test is the code that ships. Needs the extra `simulator`.
"""
