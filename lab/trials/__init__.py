"""How a fault is tried on a pattern, and what is judged from what remains."""
