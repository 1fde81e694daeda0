"""The live web page: what flows, who is at work, what is lost, and what to do about it."""
