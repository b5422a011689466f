// Drafts: neither is served yet. Asking for one today is answered like anything that is not in the CapabilityStatement.

Instance: task-status
InstanceOf: OperationDefinition
Usage: #definition
Title: "$status: what may be told of one referral (draft, not served)"
* url = "https://warm-referral.example/fhir/OperationDefinition/task-status"
* name = "TaskStatus"
* title = "What may be told of one referral"
* status = #draft
* experimental = true
* date = "2026-11-24"
* kind = #operation
* description = """Draft, not served. For a program's own Task: the status and business status that the releases in force allow it to see, and the time
of the next step promised. No patient, reason or name. Another program's Task is not there (404)."""
* affectsState = false
* code = #status
* resource = #Task
* system = false
* type = false
* instance = true
* parameter[0].name = #status
* parameter[0].use = #out
* parameter[0].min = 1
* parameter[0].max = "1"
* parameter[0].type = #code
* parameter[0].documentation = "One of the value set referral-task-status."
* parameter[1].name = #businessStatus
* parameter[1].use = #out
* parameter[1].min = 0
* parameter[1].max = "1"
* parameter[1].type = #CodeableConcept
* parameter[1].documentation = "One of the value set referral-business-status."

Instance: bundle-validate
InstanceOf: OperationDefinition
Usage: #definition
Title: "$validate: is this referral in order (draft, not served)"
* url = "https://warm-referral.example/fhir/OperationDefinition/bundle-validate"
* name = "BundleValidate"
* title = "Is this referral in order"
* status = #draft
* experimental = true
* date = "2026-11-24"
* kind = #operation
* description = """Draft, not served. Checks one referral Bundle as a POST would and keeps nothing: every issue with severity, code and FHIRPath
expression, never a value or a key of the sender. Until it is served, `warm-referral validate` does the same on your own machine."""
* affectsState = false
* code = #validate
* base = "http://hl7.org/fhir/OperationDefinition/Resource-validate"
* resource = #Bundle
* system = false
* type = true
* instance = false
* inputProfile = "https://warm-referral.example/fhir/StructureDefinition/referral-bundle"
* parameter[0].name = #resource
* parameter[0].use = #in
* parameter[0].min = 1
* parameter[0].max = "1"
* parameter[0].type = #Resource
* parameter[0].documentation = "The referral. Use made-up people only."
* parameter[1].name = #return
* parameter[1].use = #out
* parameter[1].min = 1
* parameter[1].max = "1"
* parameter[1].type = #OperationOutcome
* parameter[1].documentation = "Every problem found."
