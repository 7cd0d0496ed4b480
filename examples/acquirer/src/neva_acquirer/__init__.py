"""Neva as an acquirer of a self-checkout lane: `adapter` is what the lane opens, `simulator` is Neva for tests."""
