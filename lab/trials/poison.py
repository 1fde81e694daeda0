"""What handlers and the lab agree on: which messages are slow, and how a process ends that cannot handle one."""

SLOW = "51000000"
"""How the id of a slow message begins."""

POISONED = 9
"""The handler ended the process when it began the poisonous message."""
RAISED = 8
"""An exception left the body of the loop over deliveries, and the process ended in good order."""


class CannotHandleError(Exception):
    """What the handler raises where the trial is about exceptions."""
