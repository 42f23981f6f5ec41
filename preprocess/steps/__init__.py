"""The steps from audio to dataset: normalize, encode, annotate, audit, build, push.

Each step is a function over a folder that returns a `Report`. A second function handles one item,
and `preprocess.core.jobs` decides where it runs.
"""
