"""What can be wrong with a folder of tokens and sidecars."""
