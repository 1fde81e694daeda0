"""The service that sends."""
