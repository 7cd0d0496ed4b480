"""PayMaster: wire types, the client, and (as an extra) the simulator."""
