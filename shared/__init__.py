"""What the services are made of: the message, the settings, Redis and the patterns."""
