"""How runs are kept together: the words that the worker and its fork server share."""

from __future__ import annotations

import struct

#: By a PID namespace with a /proc that shows it, by one that leaves the /proc of the host, or by
#: the adoption of orphans, which a control group may help.
NAMESPACE, NAMESPACE_ONLY, GROUP = "namespace", "namespace-only", "group"
#: What stands before a request: the number of its bytes.
LENGTH = struct.Struct("!I")
