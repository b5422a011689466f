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

Instance: task-status
InstanceOf: OperationDefinition
Usage: #definition
Title: "$status: which moves are allowed now"
* url = "https://warm-referral.example/fhir/OperationDefinition/task-status"
* name = "TaskStatus"
* title = "Which moves are allowed now"
* status = #draft
* experimental = true
* date = "2026-11-24"
* kind = #operation
* description = """Where one of the program's own Tasks stands, and what the state machine and the release in force let the program write on it now.
Without a release B nothing is listed, and nothing would be taken. Of a request that the program sent itself the only move is
cancelled. The answer carries the ETag to send as If-Match. Asked by GET, or by POST without a body."""
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
* parameter[0].documentation = "The status, as a read shows it."
* parameter[1].name = #tier
* parameter[1].use = #out
* parameter[1].min = 1
* parameter[1].max = "1"
* parameter[1].type = #code
* parameter[1].documentation = "The tier of the release in force between the two organizations: none, contact, appointment or outcome."
* parameter[2].name = #move
* parameter[2].use = #out
* parameter[2].min = 0
* parameter[2].max = "*"
* parameter[2].type = #code
* parameter[2].documentation = "A status that the program may set now."
* parameter[3].name = #businessStatus
* parameter[3].use = #out
* parameter[3].min = 0
* parameter[3].max = "*"
* parameter[3].type = #Coding
* parameter[3].documentation = "A business status that the program may set now."
* parameter[4].name = #output
* parameter[4].use = #out
* parameter[4].min = 1
* parameter[4].max = "1"
* parameter[4].type = #boolean
* parameter[4].documentation = "Whether the program may write an output."
