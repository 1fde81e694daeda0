"""stream: the chronicle. Every message is written down; each reader has a bookmark, and may turn back.

Commands:      XADD; XREADGROUP to read, XACK when handled, XPENDING and XCLAIM to take over from the dead.
Keys:          one stream (STREAM), the payload in the field "message"; {stream}:dead for dead letters.
Guarantee:     stored until trimmed: at least once to each consumer group (CONSUMER_GROUP), whose members share.
               In order while nothing fails; where several members share, what an overrunning batch gives back changes
               places. What was handled can be read again, by a new group or from an id.
How it fails:  a message whose consumer died comes again after LEASE_SECONDS, one that fails or kills MAX_ATTEMPTS
               times ends among the dead letters. A handler may see a message twice. A stream that nobody trims
               grows (STREAM_MAXLEN); what Redis itself forgets (no AOF) is gone.
Use when:      several services should each handle every message, or the past should stay readable.
"""

from townpost.patterns.contract import Guarantees, Pattern
from townpost.patterns.stream.listener import StreamListener
from townpost.patterns.stream.sender import StreamSender

__all__ = ["STREAM"]

GUARANTEES = Guarantees(
    durable=True, redelivers=True, fan_out=False, ordered=True, replays=True, groups=True, schedules=False
)

STREAM = Pattern("stream", "stream", "STREAM", GUARANTEES, StreamSender, StreamListener)
