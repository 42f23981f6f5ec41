"""The predecessor's commands, `wf-*`: its flags, with this package's functions behind them."""
