"""The contract of each kind of device, as checks that run on any URL, simulated or real."""
