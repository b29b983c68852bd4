"""Jobs as a document: read it, see what it would change, apply it, and write what there is.

A document describes whole jobs: what it leaves out has its default. Only ``status`` and
``timeZone``, left out, stay as they are.
"""

from __future__ import annotations

from sentinel_project.client.document.entries import DocumentError, Wanted, wanted_jobs

__all__ = ["DocumentError", "Wanted", "wanted_jobs"]
