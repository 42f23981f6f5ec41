"""Plumbing that knows no audio: errors, files, where work runs, reports, provenance, settings."""
