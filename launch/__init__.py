"""How we get in: every OAuth and SMART byte, in both directions. It knows nothing of referrals."""
