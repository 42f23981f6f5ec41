"""Plumbing that knows no audio: errors, files, threads, reports, provenance, settings."""
