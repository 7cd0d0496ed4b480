"""Many lanes in one place: their journals, cases and settings in PostgreSQL, and the office's page.

A server for an office. A lane never needs it: what it sends here is in its own journal first.
"""
