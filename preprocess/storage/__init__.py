"""Files in a local folder or behind a URL, read and written in one way."""
