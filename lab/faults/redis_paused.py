"""Redis answers nobody for twelve seconds, and then goes on as if nothing had been.

How:     SIGSTOP of the server, SIGCONT after 12 s. Connections stay; what was sent waits in the kernel.
Expect:  nothing is lost on reliable and stream. A client that gave up in between and asked again has asked twice: a
         publisher's message may be there twice, a queue's reply may go to a connection that nobody reads any more.
"""

from lab.trials.fault import Breaks, Fault
from lab.trials.town import Town

_SECONDS = 12


def strike(town: Town) -> None:
    town.run(0.5)
    town.server.pause()
    town.hits += 2 * len(town.consumers)  # what each had asked for, and what it asked for when it had given that up
    town.resent += _SECONDS // 3  # so long it waits for an answer
    try:
        town.run(_SECONDS)
    finally:
        town.server.resume()


FAULT = Fault(
    name="redis-paused",
    title="Redis paused for 12 s",
    strike=strike,
    breaks=frozenset({Breaks.LINK, Breaks.SENDER}),
)
