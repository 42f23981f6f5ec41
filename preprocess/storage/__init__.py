"""Local or remote folders."""
