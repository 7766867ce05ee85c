"""Benchmarks: the yardsticks (`python -m bench`) and what a call is made of (`python -m bench.details`)."""
