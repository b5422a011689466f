"""What people and systems may type into a record of ours, for tests that try what nobody thought of."""

from __future__ import annotations

from datetime import UTC, date, datetime

from hypothesis import strategies as st

ids = st.uuids(version=4).map(str)
days = st.dates(date(2020, 1, 1), date(2090, 12, 31))
moments = st.datetimes(datetime(2020, 1, 1), datetime(2090, 12, 31), timezones=st.just(UTC))
levels = st.sampled_from(["V", "R"])
JOINERS = "\u200c\u200d"
letters = st.characters(categories=["L", "M", "N", "P", "Zs"], include_characters=JOINERS)
lines = st.text(letters, min_size=1, max_size=40).filter(
    lambda text: (
        text == text.strip()
        and text.translate(dict.fromkeys(map(ord, JOINERS))).isprintable()
        and text.strip(JOINERS) != ""
    )
)
