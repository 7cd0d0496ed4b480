"""Fuzzing of all that comes from outside: an acquirer's answers, links, settings, a tag's memory, a printer's
bytes, files.

`targets` holds one function for each kind of input: it takes bytes and returns. Anything that it raises is a finding,
since it catches the typed errors that are allowed. Every test run replays the corpora under tests/corpora/;
`make fuzz SECONDS=n` searches on from them, guided by coverage where atheris is installed, and keeps what it found.
"""
