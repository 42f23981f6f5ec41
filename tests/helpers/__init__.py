"""What several test modules need: functions, and the fixtures of `tests/conftest.py` over them."""
