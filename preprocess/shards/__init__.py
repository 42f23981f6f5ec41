"""Packed output: a folder of Parquet shards that holds the rows of a dataset and their provenance."""
