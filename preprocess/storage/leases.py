"""Temporary stand-in."""

from __future__ import annotations


class Lease:
    attempts = 1
    lost = False

    def __enter__(self):
        return self

    def __exit__(self, *a):
        pass

    def abandon(self):
        pass


class Leases:
    def __init__(self, store, folder, holder=None, lease_s=60):
        pass

    def take(self, name):
        return Lease()

    def all(self):
        return {}
