"""What a person sets out to do, one file per errand. Values in, ports in; never a request, never a token."""
