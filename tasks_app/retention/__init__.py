"""Retention: what is old enough leaves in batches, and a preview tells beforehand what (X-33)."""
