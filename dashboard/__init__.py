"""The live web page: which messages flow, which instances run, what is lost, and what to do about it."""
