"""Simulators at the wire: a byte-level ESC/POS printer, a PN532 with its tag, a memory-mapped screen, a touch panel."""
