"""``python -m smart_app`` is ``warm-referral``."""

from smart_app.cli import main

main()
