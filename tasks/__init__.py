"""The worked application: a REST API that publishes what happens to tasks, an indexer that listens."""
