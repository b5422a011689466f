// What is really served (fhir_profiles/capability_statement.py says it in the same words; a test compares what GET /metadata
// answers), and what we ask of an EHR (a test compares launch/scopes.py and the gateway).

RuleSet: Expected(path, word)
* {path}.extension.url = "http://hl7.org/fhir/StructureDefinition/capabilitystatement-expectation"
* {path}.extension.valueCode = #{word}

Instance: partner-server
InstanceOf: CapabilityStatement
Usage: #definition
Title: "What a program's system may do here"
* url = "https://warm-referral.example/fhir/CapabilityStatement/partner-server"
* name = "PartnerServer"
* title = "What a program's system may do here"
* status = #draft
* experimental = true
* date = "2026-11-24"
* description = "The partner API of a health center. Only what is listed is answered: any other interaction, parameter or operation is refused with constant bytes before any look-up. A program sees its own items only; another's is not there. One referral is one transaction Bundle (profile referral-bundle): 202 and a Location, the same bytes whether the person is known or not."
* kind = #requirements
* fhirVersion = #4.0.1
* format = #json
* rest[0].mode = #server
* rest[0].security.cors = false
* rest[0].security.service = http://terminology.hl7.org/CodeSystem/restful-security-service#SMART-on-FHIR
* rest[0].security.description = "Backend services of SMART App Launch 2.2; keys are registered by hand, and the agreement must be in force. The token endpoint stands in .well-known/smart-configuration."
* rest[0].resource[0].type = #Appointment
* rest[0].resource[0].supportedProfile = "https://warm-referral.example/fhir/StructureDefinition/proposed-appointment"
* rest[0].resource[0].interaction[0].code = #read
* rest[0].resource[0].interaction[0].documentation = "Booked day and time, only inside release A with tier appointment."
* rest[0].resource[0].versioning = #versioned
* rest[0].resource[0].readHistory = false
* rest[0].resource[0].updateCreate = false
* rest[0].resource[1].type = #Bundle
* rest[0].resource[1].supportedProfile = "https://warm-referral.example/fhir/StructureDefinition/referral-bundle"
* rest[0].resource[1].operation[0].name = "validate"
* rest[0].resource[1].operation[0].definition = "https://warm-referral.example/fhir/OperationDefinition/bundle-validate"
* rest[0].resource[2].type = #Consent
* rest[0].resource[2].supportedProfile = "https://warm-referral.example/fhir/StructureDefinition/release-consent"
* rest[0].resource[2].interaction[0].code = #create
* rest[0].resource[2].interaction[0].documentation = "Release B for one Task, before the first update of it."
* rest[0].resource[2].versioning = #versioned
* rest[0].resource[2].readHistory = false
* rest[0].resource[2].updateCreate = false
* rest[0].resource[3].type = #HealthcareService
* rest[0].resource[3].supportedProfile = "https://warm-referral.example/fhir/StructureDefinition/partner-service"
* rest[0].resource[3].interaction[0].code = #read
* rest[0].resource[3].interaction[0].documentation = "The program's own entry; its id is the program's."
* rest[0].resource[3].interaction[1].code = #update
* rest[0].resource[3].interaction[1].documentation = "Whether there is room, nothing else; If-Match is required."
* rest[0].resource[3].versioning = #versioned-update
* rest[0].resource[3].readHistory = false
* rest[0].resource[3].updateCreate = false
* rest[0].resource[4].type = #ServiceRequest
* rest[0].resource[4].supportedProfile = "https://warm-referral.example/fhir/StructureDefinition/referral-service-request"
* rest[0].resource[4].interaction[0].code = #read
* rest[0].resource[4].interaction[0].documentation = "One that the program sent or was sent; a safe contact is hidden from its end on."
* rest[0].resource[4].versioning = #versioned
* rest[0].resource[4].readHistory = false
* rest[0].resource[4].updateCreate = false
* rest[0].resource[5].type = #Task
* rest[0].resource[5].supportedProfile = "https://warm-referral.example/fhir/StructureDefinition/referral-task"
* rest[0].resource[5].interaction[0].code = #read
* rest[0].resource[5].interaction[0].documentation = "As far as a release goes; else that it was received."
* rest[0].resource[5].interaction[1].code = #update
* rest[0].resource[5].interaction[1].documentation = "Status back, as far as the tier of release B goes; If-Match is required."
* rest[0].resource[5].interaction[2].code = #patch
* rest[0].resource[5].interaction[2].documentation = "The same by JSON Patch of what a read shows; If-Match is required."
* rest[0].resource[5].interaction[3].code = #search-type
* rest[0].resource[5].interaction[3].documentation = "The program's own Tasks, filtered by what it may see of them. The Bundle's timestamp is where the next search begins; the next link is followed as it stands."
* rest[0].resource[5].versioning = #versioned-update
* rest[0].resource[5].readHistory = false
* rest[0].resource[5].updateCreate = false
* rest[0].resource[5].searchParam[0].name = "_lastUpdated"
* rest[0].resource[5].searchParam[0].type = #date
* rest[0].resource[5].searchParam[0].documentation = "ge, gt, le or lt, at most two: since when the Task reads as it reads now."
* rest[0].resource[5].searchParam[1].name = "status"
* rest[0].resource[5].searchParam[1].type = #token
* rest[0].resource[5].searchParam[1].documentation = "One or more codes, with commas."
* rest[0].resource[5].operation[0].name = "status"
* rest[0].resource[5].operation[0].definition = "https://warm-referral.example/fhir/OperationDefinition/task-status"
* rest[0].interaction.code = #transaction
* rest[0].interaction.documentation = "One Bundle of profile referral-bundle, nothing else. The same body again is answered 200 with the same Location."

Instance: ehr-requirements
InstanceOf: CapabilityStatement
Usage: #definition
Title: "What we ask of an EHR"
* url = "https://warm-referral.example/fhir/CapabilityStatement/ehr-requirements"
* name = "EhrRequirements"
* title = "What we ask of an EHR"
* status = #draft
* experimental = true
* date = "2026-11-24"
* description = """SMART App Launch 2.2 from the EHR, and two reads. Scopes asked: launch openid fhirUser online_access patient/Patient.rs
patient/Encounter.rs user/Practitioner.rs. Writing is optional and off until a dated proof shows that labels are kept and that no patient,
proxy, third-party or unprivileged token sees what was written; then patient/Observation.cruds patient/ServiceRequest.cruds are asked
too. user/Appointment.cruds is asked for a neutral visit, which relies on no label. Where configuration looks people up in the EHR,
user/PractitionerRole.rs patient/CareTeam.rs are asked."""
* kind = #requirements
* fhirVersion = #4.0.1
* format = #json
* rest[0].mode = #server
* rest[0].security.service = http://terminology.hl7.org/CodeSystem/restful-security-service#SMART-on-FHIR
* rest[0].security.description = "EHR launch with PKCE, confidential client with private_key_jwt (ES384 or RS384), openid and fhirUser, scopes v2."
* rest[0].resource[0].type = #Patient
* rest[0].resource[0].documentation = "The launched patient, for the request only; never stored."
* rest[0].resource[0].interaction[0].code = #read
* insert Expected(rest[0].resource[0].interaction[0], SHALL)
* rest[0].resource[1].type = #Encounter
* rest[0].resource[1].documentation = "The launched encounter: a visit that does not go on now is none, and some steps are not offered."
* rest[0].resource[1].interaction[0].code = #read
* insert Expected(rest[0].resource[1].interaction[0], SHALL)
* rest[0].resource[2].type = #Practitioner
* rest[0].resource[2].documentation = "Who is signed in. The reference in fhirUser is enough today; the scope lets it be read."
* rest[0].resource[2].interaction[0].code = #read
* insert Expected(rest[0].resource[2].interaction[0], MAY)
* rest[0].resource[3].type = #Observation
* rest[0].resource[3].supportedProfile = "https://warm-referral.example/fhir/StructureDefinition/disclosure-observation"
* rest[0].resource[3].documentation = "Only after a proof of class A: labels kept, and filtered for every token."
* rest[0].resource[3].interaction[0].code = #create
* insert Expected(rest[0].resource[3].interaction[0], MAY)
* rest[0].resource[3].interaction[1].code = #read
* rest[0].resource[3].interaction[1].documentation = "Read back and compared before it counts as saved."
* insert Expected(rest[0].resource[3].interaction[1], MAY)
* rest[0].resource[3].interaction[2].code = #delete
* rest[0].resource[3].interaction[2].documentation = "When what came back is not what was written."
* insert Expected(rest[0].resource[3].interaction[2], MAY)
* rest[0].resource[3].interaction[3].code = #update
* rest[0].resource[3].interaction[3].documentation = "entered-in-error, and emptied, where the EHR does not delete."
* insert Expected(rest[0].resource[3].interaction[3], MAY)
* rest[0].resource[4].type = #ServiceRequest
* rest[0].resource[4].documentation = "Only after a proof of class A. Coded order facts under the full label set; the safe contact, the name to use and the release stay in the vault."
* rest[0].resource[4].interaction[0].code = #create
* insert Expected(rest[0].resource[4].interaction[0], MAY)
* rest[0].resource[4].interaction[1].code = #read
* rest[0].resource[4].interaction[1].documentation = "Read back and compared before it counts as saved."
* insert Expected(rest[0].resource[4].interaction[1], MAY)
* rest[0].resource[4].interaction[2].code = #delete
* rest[0].resource[4].interaction[2].documentation = "When what came back is not what was written."
* insert Expected(rest[0].resource[4].interaction[2], MAY)
* rest[0].resource[4].interaction[3].code = #update
* rest[0].resource[4].interaction[3].documentation = "entered-in-error, and emptied, where the EHR does not delete."
* insert Expected(rest[0].resource[4].interaction[3], MAY)
* rest[0].resource[5].type = #Appointment
* rest[0].resource[5].supportedProfile = "https://warm-referral.example/fhir/StructureDefinition/appointment-ehr-copy"
* rest[0].resource[5].documentation = "A neutral visit: its proof is that only neutral elements arrive and come back."
* rest[0].resource[5].interaction[0].code = #create
* insert Expected(rest[0].resource[5].interaction[0], MAY)
* rest[0].resource[5].interaction[1].code = #read
* rest[0].resource[5].interaction[1].documentation = "Read back and compared before it counts as saved."
* insert Expected(rest[0].resource[5].interaction[1], MAY)
* rest[0].resource[5].interaction[2].code = #delete
* rest[0].resource[5].interaction[2].documentation = "When what came back is not what was written."
* insert Expected(rest[0].resource[5].interaction[2], MAY)
* rest[0].resource[5].interaction[3].code = #update
* rest[0].resource[5].interaction[3].documentation = "entered-in-error, and emptied, where the EHR does not delete."
* insert Expected(rest[0].resource[5].interaction[3], MAY)
* rest[0].resource[6].type = #PractitionerRole
* rest[0].resource[6].documentation = "Only where the health center gives roles by a code of the EHR's staff directory: what the person who is signed in does there. About staff; never stored."
* rest[0].resource[6].interaction[0].code = #read
* rest[0].resource[6].interaction[0].documentation = "When fhirUser is a PractitionerRole."
* insert Expected(rest[0].resource[6].interaction[0], MAY)
* rest[0].resource[6].interaction[1].code = #search-type
* rest[0].resource[6].interaction[1].documentation = "By practitioner, when fhirUser is a Practitioner."
* insert Expected(rest[0].resource[6].interaction[1], MAY)
* rest[0].resource[7].type = #CareTeam
* rest[0].resource[7].documentation = "Only where the health center counts the EHR's care team: is the person who is signed in an active member? Never stored."
* rest[0].resource[7].interaction[0].code = #search-type
* rest[0].resource[7].interaction[0].documentation = "By patient and status."
* insert Expected(rest[0].resource[7].interaction[0], MAY)
