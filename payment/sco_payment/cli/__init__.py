"""The command line of a lane: `sco-pay`. One module a command; `main` imports it when it is used."""
