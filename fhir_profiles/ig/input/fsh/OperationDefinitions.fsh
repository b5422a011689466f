// What is served (a test asks the API). Anything else with a $ is answered like all that is not in the CapabilityStatement.

Instance: bundle-validate
InstanceOf: OperationDefinition
Usage: #definition
Title: "$validate: is this referral in order"
* url = "https://warm-referral.example/fhir/OperationDefinition/bundle-validate"
* name = "BundleValidate"
* title = "Is this referral in order"
* status = #draft
* experimental = true
* date = "2026-11-24"
* kind = #operation
* description = """Checks one referral Bundle as a POST of it would be checked, release in force and organizations included, and keeps nothing: nobody
is looked up, nothing is stored or logged. The answer is 200 with every issue, each with severity, code and FHIRPath expression, never
a value or a key of the sender; without an issue it says so. It needs the scopes that a referral needs. `warm-referral validate` does the same on your own machine, but for
what only the clinic knows: who it is, and what time it is there."""
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
* parameter[0].documentation = "The referral, as the body itself and not in a Parameters resource. Use made-up people only."
* parameter[1].name = #return
* parameter[1].use = #out
* parameter[1].min = 1
* parameter[1].max = "1"
* parameter[1].type = #OperationOutcome
* parameter[1].documentation = "Every problem found."
