"""What we say on the wire: labels, builders and validation. Pure: values in, FHIR payloads out."""
