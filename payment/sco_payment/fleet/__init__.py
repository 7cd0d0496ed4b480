"""The lane's side of a fleet: what sends its journal to the chain's server, and brings back what the office decided.

`client` speaks HTTP, `outbox` reads rows from the journal and its archives, `shipper` sends them, `agent` does that and
the reports of health in a thread of its own. `settings`, `settings_store` and `bundle` take settings from the
office. A lane without `[fleet] url` loads none of this.
"""
