"""The predecessor's package, for scripts that import `workflow.writeParamArrays`."""
