"""The commands, the predecessor's among them."""
