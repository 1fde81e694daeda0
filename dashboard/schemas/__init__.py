"""The contract between this server and dashboard/static: live.py, what the server sends; requests.py, what a page asks.

    GET  /                        static/index.html; /static/... the rest of that folder
    GET  /api/session             Session            what this server is and what this page may do
    POST /api/login, /api/logout  Login -> Session   the token goes into a cookie that scripts cannot read
    GET  /api/events              server-sent events, see below
    GET  /api/snapshot            Snapshot           the same once, for scripts
    GET  /api/history             History            the last five minutes, for charts that are not to begin empty
    GET  /api/messages            [Seen]             the feed so far, oldest first; ?pattern= &sender= &text= &limit=
    GET  /api/messages/{number}   SeenWhole          one of them with its JSON
    GET  /api/dead/{pattern}      DeadPage           ?after=<next of the page before> &limit=50 &reason=
                                                     this and what follows: &name= &group=, of one of the paths that
                                                     are shown; without them that of the dashboard's own settings
    GET  /api/dead/{pattern}/{id} DeadLetter         with its payload, if that is not too long, and history
    POST /api/dead/{pattern}/requeue, /purge         Choice -> Done
    POST /api/dead/{pattern}/{id}/edit               Edit -> Done: requeued with other content, which must be a message
    GET  /api/scheduled/{pattern} ScheduledPage      ?offset=0 &limit=50 (reliable, and retries of the stream)
    POST /api/scheduled/{pattern}/now, /purge        Members -> Done: hand out at once, delete (reliable)
    GET  /api/in-flight/{pattern} InFlightPage       ?offset=0 &limit=50
    POST /api/publish             Publish -> Published; with count > 1 it is a burst that goes on by itself
    GET  /api/bursts/{number}     Published          how far it is
    GET  /healthz, /metrics, /openapi.json

Every answer that is not a 2xx is a `Problem`: 400 what was asked cannot be done, 401 a token is needed, 403 read-only
or from another site, 404, 409 Redis refuses, 413 too long, 415 not JSON, 422 not what the model wants, 429 too many
bursts at once, 503 Redis does not answer.

A POST needs `Content-Type: application/json` and the header `X-Townpost: 1`; a page of another site can send neither
without our leave. With a token, `Authorization: Bearer ...` or the cookie of /api/login.

Events of /api/events (`new EventSource("/api/events")`); all data is one line of JSON:

    event: session    Session      first
    event: snapshot   Snapshot     once a second, also while Redis is away (`redis.up` is false then)
    event: seen       [Seen]       new lines of the feed, at most 50 a second in all; left out when there are none

No snapshot for five seconds means that the dashboard itself is gone: show the data as stale. What came with a message
is in `text`, `sender`, `error`, `payload` and `history`: cut to a length, otherwise as it was written, so put it on
the page as text only. Moments are seconds since 1970 by Redis's clock, durations are seconds; None: not known.
"""
