"""Fuzzing of all that comes from outside: the bank's octets, links, settings, a tag's memory, a printer's bytes, files.

`targets` holds one function a kind of input: it takes octets and returns; anything that it raises is a finding, since
the typed errors that are allowed are caught there. The corpora under tests/corpora/ are replayed by every test run;
`make fuzz SECONDS=n` searches on from them, guided by coverage where atheris is installed, and keeps what it found.
"""
