"""A whole fleet on one machine: what `sco-fleet demo` runs.

`command` starts PostgreSQL, the server and the lanes; `lanes` are the simulated ones, in `worker`s of their own;
`troubles` says what goes wrong on which of them. The lanes and all they send is the code that ships.
"""
