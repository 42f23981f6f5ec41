"""Publishing a built dataset on the Hub."""
