"""Durable outbound work: claim, send, retry, give up aloud."""
