"""The payment core of a self-checkout lane: one SBP leg through PayMaster, presented by display mode."""
