"""Two health centers equal but for one referral: who is not on it gets the same bytes in both (safety section 6).

The base has other referrals each way, so that lists are not empty. It is copied, and one copy gets one more.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from smart_app.proofs import observers
from smart_app.proofs.check import Check, ProofError
from smart_app.proofs.instance import Instance, copied, opened
from smart_app.proofs.observers import OBSERVERS, VARIANTS, Observer
from smart_app.proofs.recording import Recording, bytes_in, first_difference
from smart_app.proofs.referrals import Ids, receive, send
from smart_app.proofs.senses import Senses

MakeKeys = Callable[[Path], None]


@dataclass(frozen=True)
class World:
    """One health center, and by what its one more referral could be asked for."""

    here: Instance
    ids: Ids

    def watched(self, observer: Observer) -> Recording:
        """The observer's script; what it changed is undone."""
        with self.here.undone():
            return observer.watch(self.here, self.ids)


@dataclass
class Bench:
    """The world without, the worlds with one more, and what was compared so far."""

    senses: Senses
    without: World
    worlds: dict[str, World]
    compared_bytes: int = 0


@contextmanager
def bench(create_keys: MakeKeys) -> Iterator[Bench]:
    """All four worlds, side by side; gone afterwards."""
    with ExitStack() as open_:
        folder = Path(open_.enter_context(tempfile.TemporaryDirectory(prefix="prove-")))
        senses = open_.enter_context(Senses().open())
        (folder / "base").mkdir()
        base = open_.enter_context(opened(folder / "base", senses, create_keys=create_keys))
        _fill(base)
        worlds = {}
        for number, variant in enumerate(VARIANTS):
            copy = copied(base, folder / f"world-{number}")
            here = open_.enter_context(opened(copy, senses, create_keys=create_keys, like=base))
            worlds[variant] = World(here, _one_more(here, variant))
        yield Bench(senses, World(base, Ids()), worlds)


def _fill(here: Instance) -> None:
    """Other referrals each way, so that no list is empty, and the programs' people."""
    send(here, partner="harbor", patient=observers.OTHER_PATIENT, user="nurse-ortiz", alias="Sam")
    send(here, partner="northside", patient=observers.OTHER_PATIENT, user="nurse-ortiz", alias="Alex")
    receive(here, partner="northside", once="base-1", alias="Jo")
    receive(here, partner="harbor", once="base-2", alias="Max")
    for partner_id in ("harbor", "northside"):
        here.advocate(partner_id)


def _one_more(here: Instance, variant: str) -> Ids:
    if variant == observers.INBOUND:
        return receive(here, partner="harbor", once="one-more")
    partner_id = "harbor" if variant == observers.OUT_TO_SYSTEM else "northside"
    return send(here, partner=partner_id, patient=observers.PATIENT, user=observers.AUTHOR)


def nobody_tells(bench: Bench, observer: Observer) -> None:
    """The observer gets the same bytes without the referral and with it, in each variant that it is not on."""
    without = bench.without.watched(observer)
    for variant, world in bench.worlds.items():
        if variant in observer.is_on_it:
            continue
        recording = world.watched(observer)
        bench.compared_bytes += bytes_in(without) + bytes_in(recording)
        found = first_difference(without, recording)
        if found is not None:
            raise ProofError(f"tells a referral {variant}: {found}")


def some_do(bench: Bench) -> None:
    """Whoever is on the referral finds it: a script that asks for nothing would prove nothing."""
    for observer in OBSERVERS:
        without = bench.without.watched(observer) if observer.is_on_it else []
        for variant in observer.is_on_it:
            if first_difference(without, bench.worlds[variant].watched(observer)) is None:
                raise ProofError(f"{observer.name} does not find a referral {variant}")


CHECKS: tuple[Check[Bench], ...] = (
    *(
        Check(
            f"two worlds: {observer.name}",
            "gets the same bytes with the referral and without it",
            partial(nobody_tells, observer=observer),
        )
        for observer in OBSERVERS
        if observer.is_on_it != frozenset(VARIANTS)
    ),
    Check("two worlds: control", "whoever is on the referral does find it", some_do),
)
