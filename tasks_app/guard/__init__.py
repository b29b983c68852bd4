"""The processes that guard what runs: they import nothing of ours but each other, and no framework.

``forkserver`` is a program, one for each worker process; ``init`` is what it forks for each run.
"""
