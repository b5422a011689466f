"""Decisions: pure, total, and fed with the clock. No framework, no store, no settings file."""
