"""Tools for health-center IT: what will work at this EHR, and what will not."""
