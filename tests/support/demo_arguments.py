"""How a test starts a demo in a folder and on ports of its own."""

from __future__ import annotations

from smart_app.demo import Place


def demo_arguments(place: Place) -> list[str]:
    """What follows ``python`` on the command line."""
    arguments = ["-m", "smart_app", "demo", "--directory", str(place.directory)]
    for name, port in vars(place.ports).items():
        arguments += [f"--{name.replace('_', '-')}-port", str(port)]
    return arguments + (["--database", place.database] if place.database else [])
