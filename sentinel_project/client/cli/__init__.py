"""The command line ``sentinel``: a module per subject, put together in ``main``.

Answers go to standard output, everything else to standard error. Exit codes are in ``exits``.
"""
