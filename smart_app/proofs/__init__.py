"""``warm-referral prove``: shows, on a health center that is thrown away, that the guards of this house hold.

Each check says one sentence and fails with what it saw. Tests load seeded faults and see each check fail.
"""
