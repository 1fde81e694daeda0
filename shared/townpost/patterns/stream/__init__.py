"""stream: each message is an entry of a stream. Every consumer group reads all of them, from a position of its own.

Commands:      XADD; XREADGROUP to read, XACK when handled, XPENDING and XCLAIM to take over from the dead.
Keys:          one stream (STREAM), the payload in the field "message"; {stream}:dead for dead letters.
Guarantee:     stored until trimmed: at least once to each consumer group (CONSUMER_GROUP), whose members share.
               In order while nothing fails; where several members share, what an overrunning batch gives back changes
               places. What was handled can be read again, by a new group or from an id.
How it fails:  a message whose consumer died is delivered again after LEASE_SECONDS; one that fails, or kills its
               consumer, MAX_ATTEMPTS times becomes a dead letter. A handler may get a message twice. A stream without
               STREAM_MAXLEN grows without a bound. What Redis loses in a crash (without AOF) is lost.
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
