"""How a process ends that has begun the poisonous message: the handler and whoever watches agree on it."""

POISONED = 9
