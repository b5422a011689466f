"""The partner FHIR surface."""
