"""The two backends, native and pure Python: each runs the `Plan` of a function."""
