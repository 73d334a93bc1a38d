"""Locks: who may run a routine now.

``choice`` says which lock a routine takes, ``held`` has those of one run, and ``file``,
``database`` and ``redis`` hold them. ``backend`` is what a site's own backend needs.
"""

from __future__ import annotations

from .backend import Holder, LockBackend, LockError, LockUnusable
from .choice import lock_of, lock_policy
from .held import HeldLocks, Lock

__all__ = [
    "HeldLocks",
    "Holder",
    "Lock",
    "LockBackend",
    "LockError",
    "LockUnusable",
    "lock_of",
    "lock_policy",
]
