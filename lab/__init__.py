"""The lab starts the services as processes, as a user would: to show them, to break them, to time them."""
