"""What a device of each kind must do, as checks that run on any URL, simulated or real."""
