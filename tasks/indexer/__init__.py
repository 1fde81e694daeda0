"""The service that listens to what happens to tasks and keeps the search index up to date."""
