"""The search index behind one small interface."""
