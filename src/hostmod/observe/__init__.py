"""Decorators that watch the calls of host functions: logs, traces, profiles, OpenTelemetry spans."""
