"""The steps, in the order of the path: normalize, encode, annotate, audit, build.

Each is one function over a folder that returns a `Report`; what it does to one item is a function
over that item, and `preprocess.core.jobs` decides where it runs.
"""
