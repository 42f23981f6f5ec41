"""From a built dataset to the Hub."""
