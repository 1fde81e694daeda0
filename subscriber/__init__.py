"""The service that listens."""
