"""From a folder of tokens to the rows of a dataset."""
