"""Handlers to copy from; compose mounts this folder read-only at /app/examples."""
