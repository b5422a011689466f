// What is really served (fhir_profiles/capability_statement.py; a test compares the two), and what we ask of an EHR.

RuleSet: Offered(index, type, profile)
* rest[0].resource[{index}].type = #{type}
* rest[0].resource[{index}].supportedProfile = "https://warm-referral.example/fhir/StructureDefinition/{profile}"
* rest[0].resource[{index}].readHistory = false
* rest[0].resource[{index}].updateCreate = false

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
* description = """The partner API of a health center. Only what is listed is answered: any other interaction, parameter or operation is refused
with constant bytes before any look-up. A program sees its own items only; another's is not there. One referral is one
transaction Bundle (profile referral-bundle): 202 and a Location, the same bytes whether the person is known or not."""
* kind = #requirements
* fhirVersion = #4.0.1
* format = #json
* rest[0].mode = #server
* rest[0].security.cors = false
* rest[0].security.service = http://terminology.hl7.org/CodeSystem/restful-security-service#SMART-on-FHIR
* rest[0].security.description = "Backend services of SMART App Launch 2.2; keys are registered by hand, and the agreement must be in force."
* insert Offered(0, Appointment, proposed-appointment)
* rest[0].resource[0].interaction[0].code = #read
* rest[0].resource[0].interaction[0].documentation = "Booked day and time, only inside release A with tier appointment."
* rest[0].resource[0].versioning = #versioned
* insert Offered(1, Consent, release-consent)
* rest[0].resource[1].interaction[0].code = #create
* rest[0].resource[1].interaction[0].documentation = "Release B for one Task, before the first update of it."
* rest[0].resource[1].versioning = #versioned
* insert Offered(2, ServiceRequest, referral-service-request)
* rest[0].resource[2].interaction[0].code = #read
* rest[0].resource[2].versioning = #versioned
* insert Offered(3, Task, referral-task)
* rest[0].resource[3].interaction[0].code = #read
* rest[0].resource[3].interaction[1].code = #update
* rest[0].resource[3].interaction[1].documentation = "Status back, as far as release B's tier goes; If-Match is required."
* rest[0].resource[3].versioning = #versioned-update
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
* description = """SMART App Launch 2.2 from the EHR, and three reads. Writing is optional and off until a dated proof shows that labels are kept
and that no patient, proxy or unprivileged token sees what was written; the neutral visit relies on no label."""
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
* rest[0].resource[1].documentation = "The launched encounter: without one, some steps are not offered."
* rest[0].resource[1].interaction[0].code = #read
* insert Expected(rest[0].resource[1].interaction[0], SHALL)
* rest[0].resource[2].type = #Practitioner
* rest[0].resource[2].documentation = "Who is signed in."
* rest[0].resource[2].interaction[0].code = #read
* insert Expected(rest[0].resource[2].interaction[0], SHALL)
* rest[0].resource[3].type = #Observation
* rest[0].resource[3].supportedProfile = "https://warm-referral.example/fhir/StructureDefinition/disclosure-observation"
* rest[0].resource[3].documentation = "Only after proof of class A: labels kept, filtered for every token."
* rest[0].resource[3].interaction[0].code = #create
* insert Expected(rest[0].resource[3].interaction[0], MAY)
* rest[0].resource[3].interaction[1].code = #read
* insert Expected(rest[0].resource[3].interaction[1], MAY)
* rest[0].resource[3].interaction[2].code = #update
* rest[0].resource[3].interaction[2].documentation = "entered-in-error, when what came back is not what was written."
* insert Expected(rest[0].resource[3].interaction[2], MAY)
* rest[0].resource[4].type = #ServiceRequest
* rest[0].resource[4].supportedProfile = "https://warm-referral.example/fhir/StructureDefinition/referral-service-request"
* rest[0].resource[4].documentation = "Only after proof of class A."
* rest[0].resource[4].interaction[0].code = #create
* insert Expected(rest[0].resource[4].interaction[0], MAY)
* rest[0].resource[4].interaction[1].code = #read
* insert Expected(rest[0].resource[4].interaction[1], MAY)
* rest[0].resource[4].interaction[2].code = #update
* insert Expected(rest[0].resource[4].interaction[2], MAY)
* rest[0].resource[5].type = #Appointment
* rest[0].resource[5].supportedProfile = "https://warm-referral.example/fhir/StructureDefinition/appointment-ehr-copy"
* rest[0].resource[5].documentation = "A neutral visit: its proof is that only neutral elements arrive and come back."
* rest[0].resource[5].interaction[0].code = #create
* insert Expected(rest[0].resource[5].interaction[0], MAY)
* rest[0].resource[5].interaction[1].code = #read
* insert Expected(rest[0].resource[5].interaction[1], MAY)
* rest[0].resource[5].interaction[2].code = #update
* insert Expected(rest[0].resource[5].interaction[2], MAY)
