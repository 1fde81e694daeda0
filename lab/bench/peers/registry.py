from collections.abc import Callable, Sequence

from lab.bench.contestants import Contestant


def peers(say: Callable[[str], None], names: Sequence[str]) -> list[Contestant]:
    return []
