"""A strict EHR and a DSV program to try the app against. Shares no code with the client it tests."""
