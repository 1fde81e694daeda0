"""Loops in processes of their own: ``python -m lab.bench.loops.naive queue``. BENCH_TALLY says where they count."""
