"""PayMaster: its wire types, its client, and the adapter to the core's acquirer."""
