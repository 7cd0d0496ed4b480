"""`sco-fleet settings roll-out`: begin, watch and lead a roll-out."""
