"""The predecessor's commands, `wf-*`: its flags over the functions of this package."""
