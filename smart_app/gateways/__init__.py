"""Where data leaves or enters the process: vault, EHR, partners, all through the door."""
