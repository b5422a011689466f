"""``registration-sheet``: what a vendor's registration form asks, filled from settings, and the letter beside it."""
