"""Connections to Redis, and what keeps them through outages."""
