"""Pages for people. A view parses, calls one workflow, renders."""
