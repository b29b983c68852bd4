"""Chaos: faults by seed against a whole installation, and a checker of what must hold afterwards.

``python bench/chaos`` runs seeds one after the other and prints a line of JSON for each.
"""
