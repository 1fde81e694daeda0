"""The service that keeps the tasks: a REST API, a database, and an outbox of what changed."""
