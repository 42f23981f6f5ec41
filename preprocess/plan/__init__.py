"""Packed output on many machines: plans, workers that make shards, and their launchers."""
