"""The command `sco-fleet`."""
