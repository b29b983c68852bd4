"""Calls to addresses that somebody else chose: which are allowed, and how the check is kept.

``addresses`` says which are allowed, ``pinned`` connects to the very address that was checked.
"""
