"""The test bench: conformance suites for any device URL, simulated or real."""
