"""The station page: a run's progress, its questions and its report in the browser of a tablet at the bench.

`board` knows what the page shows and whose answer counts; `server` is its HTTP; `session` is what the command opens:
page and terminal together answer the questions.
"""
