"""How fast, how costly, compared with what people would pick otherwise: ratios of interleaved runs on a real server.

The parts:

    tally.py, work.py   what contestants count into, and the message they all carry (standard library only, as the
                        next two: peers run with interpreters of their own)
    job.py, sending.py  what a handler does with it, and tasks that send it
    loops/              the two lines every figure is held against, and Townpost's library loops; run as processes
    peers/              what people would pick otherwise, a short file each
    ground.py           the server and the clock; child.py and proc.py: the processes, and what they cost
    measures/           one module a group of figures
    rotation.py         every contestant once a round, so that a slow minute of the machine hits all of them
    figures.py          the result as data; table.py and picture.py show it
    goals.py            what is promised, as ratios
"""
