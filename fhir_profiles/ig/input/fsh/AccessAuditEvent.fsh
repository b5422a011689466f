Profile: AccessAuditEvent
Parent: AuditEvent
Id: access-audit-event
Title: "Access"
Description: """An access at the door of the vault, the decision on it, or an exchange with a partner: who asked, for which purpose, what was touched
under which labels, and what was decided. Opaque ids only; it stays in the vault.

**Parent meant:** IHE BALP `IHE.BasicAudit.PatientRead`, `PatientCreate`, `PatientUpdate` and `PatientDelete` for an access,
`AuthZconsent` for a decision, `PrivacyDisclosure.Source` and `.Recipient` for an exchange; base R4 is used because IHE's
package cannot be loaded offline. **Mapped:** type, subtype, action, agents and entities, as each of them asks. **Added:**
`agent.purposeOfUse` of who asked; `entity.securityLabel`, the labels of what was touched, on accesses and exchanges; the
releases under which an exchange took place. BALP is claimed in `meta.profile` only where it holds: a success with a patient, of
an access one item; a decision may be a refusal. A search claims nothing, because BALP's PatientQuery carries the raw query, which
names people. A decision without a release on file is `AuthZ-Role`, which BALP names but does not profile.

**Labels, exactly:** V, SDV, PERSISTLABEL."""
* insert Closed
* insert NoRootExtension
* insert Labelled
* insert Personal
* meta 1..1
* meta.profile 1..2
* meta.security 1..24
* type from AccessTypeVS (required)
* insert PlainCoding(type)
* subtype 1..1
* subtype from AccessInteractionVS (required)
* insert PlainCoding(subtype)
* action 1..1
* action from AccessActionVS (required)
* insert Bare(action)
* insert Bare(recorded)
* outcome 1..1
* outcome from AccessOutcomeVS (required)
* insert Bare(outcome)
* agent 2..4
* agent.id 0..0
* agent.extension 0..0
* agent.modifierExtension 0..0
* agent.type 1..1
* insert PlainConcept(agent.type)
* agent.role 0..0
* agent.who 1..1
* agent.who only Reference(Practitioner or PractitionerRole or Organization or Device or Patient)
* agent.who.id 0..0
* agent.who.extension 0..0
* agent.who.type 0..0
* agent.who.display 0..0
* insert OnlyValue(agent.who.identifier)
* agent.altId 0..0
* agent.name 0..0
* insert Bare(agent.requestor)
* agent.location 0..0
* agent.policy 0..0
* agent.media 0..0
* agent.network.id 0..0
* agent.network.extension 0..0
* agent.network.modifierExtension 0..0
* agent.network.address 1..1
* agent.network.type 1..1
* agent.network.type from AccessNetworkVS (required)
* agent.purposeOfUse 0..1
* insert PlainConcept(agent.purposeOfUse)
* agent.purposeOfUse.coding.system = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
* agent ^slicing.discriminator.type = #value
* agent ^slicing.discriminator.path = "type.coding.code"
* agent ^slicing.rules = #closed
* agent contains destination 0..1 and source 0..1 and application 0..1 and custodian 0..1 and asker 0..1 and author 0..1 and organization 0..1 and authorizer 0..1
* agent[destination].type.coding.system = "http://dicom.nema.org/resources/ontology/DCM"
* agent[destination].type.coding.code = #110152
* agent[destination].requestor = false
* agent[destination].network 1..1
* agent[destination].purposeOfUse 0..0
* agent[source].type.coding.system = "http://dicom.nema.org/resources/ontology/DCM"
* agent[source].type.coding.code = #110153
* agent[source].network 1..1
* agent[source].purposeOfUse 0..1
* agent[application].type.coding.system = "http://dicom.nema.org/resources/ontology/DCM"
* agent[application].type.coding.code = #110150
* agent[application].requestor = false
* agent[application].network 1..1
* agent[application].purposeOfUse 0..0
* agent[custodian].type.coding.system = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
* agent[custodian].type.coding.code = #custodian
* agent[custodian].requestor = false
* agent[custodian].network 1..1
* agent[custodian].purposeOfUse 0..0
* agent[asker].type.coding.system = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
* agent[asker].type.coding.code = #IRCP
* agent[asker].requestor = true
* agent[asker].who.reference 1..1
* agent[asker].who.identifier 0..0
* agent[asker].network 0..0
* agent[asker].purposeOfUse 1..1
* agent[author].type.coding.system = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
* agent[author].type.coding.code = #AUT
* agent[author].requestor = true
* agent[author].who.reference 1..1
* agent[author].who.identifier 0..0
* agent[author].network 0..0
* agent[author].purposeOfUse 1..1
* agent[organization].type.coding.system = "http://terminology.hl7.org/CodeSystem/v3-RoleClass"
* agent[organization].type.coding.code = #PROV
* agent[organization].requestor = false
* agent[organization].who.reference 1..1
* agent[organization].who.identifier 0..0
* agent[organization].network 0..0
* agent[organization].purposeOfUse 0..0
* agent[authorizer].type.coding.system = "http://terminology.hl7.org/CodeSystem/extra-security-role-type"
* agent[authorizer].type.coding.code = #authserver
* agent[authorizer].requestor = false
* agent[authorizer].who.reference 1..1
* agent[authorizer].who.identifier 0..0
* agent[authorizer].network 0..0
* agent[authorizer].purposeOfUse 0..0
* source.id 0..0
* source.extension 0..0
* source.modifierExtension 0..0
* source.site 0..0
* source.type 0..0
* source.observer only Reference(Device)
* insert PlainReference(source.observer)
* entity 0..200
* entity.id 0..0
* entity.extension 0..0
* entity.modifierExtension 0..0
* entity.lifecycle 0..0
* entity.name 0..0
* entity.description 0..0
* entity.query 0..0
* entity.detail 0..0
* entity.what 1..1
* entity.what.id 0..0
* entity.what.extension 0..0
* entity.what.type 0..0
* entity.what.display 0..0
* insert Bare(entity.what.reference)
* insert OnlyValue(entity.what.identifier)
* entity.type 1..1
* insert PlainCoding(entity.type)
* insert PlainCoding(entity.role)
* insert PlainCoding(entity.securityLabel)
* entity ^slicing.discriminator.type = #value
* entity ^slicing.discriminator.path = "type.code"
* entity ^slicing.rules = #closed
* entity contains patient 0..1 and data 0..199 and consent 0..20 and token 0..1
* entity[patient].type.system = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
* entity[patient].type.code = #1
* entity[patient].role 1..1
* entity[patient].role.system = "http://terminology.hl7.org/CodeSystem/object-role"
* entity[patient].role.code = #1
* entity[patient].what only Reference(Patient)
* entity[patient].what.reference 1..1
* entity[patient].what.identifier 0..0
* entity[patient].securityLabel 0..0
* entity[data].type.system = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
* entity[data].type.code = #2
* entity[data].role 1..1
* entity[data].role.system = "http://terminology.hl7.org/CodeSystem/object-role"
* entity[data].role.code = #4
* entity[data].what only Reference(Patient or Observation or ServiceRequest or Task or Consent or Appointment or Encounter or Practitioner)
* entity[data].what.reference 1..1
* entity[data].what.identifier 0..0
* entity[consent].type.system = "http://hl7.org/fhir/resource-types"
* entity[consent].type.code = #Consent
* entity[consent].role 0..0
* entity[consent].what only Reference(Consent)
* entity[consent].what.reference 1..1
* entity[consent].what.identifier 0..0
* entity[consent].securityLabel 0..0
* entity[token].type.system = "https://profiles.ihe.net/ITI/BALP/CodeSystem/UserAgentTypes"
* entity[token].type.code = #UserOauthAgent
* entity[token].role 0..0
* entity[token].what.reference 0..0
* entity[token].what.identifier 1..1
* entity[token].what.identifier.value 1..1
* entity[token].what.identifier.value ^short = "urn:ietf:params:oauth:jti: and the token's id"
* entity[token].securityLabel 0..0
* obeys wae-1 and wae-2 and wae-3 and wae-4 and wae-5 and wae-6 and wae-7
// Nothing else is sent.
* period 0..0
* outcomeDesc 0..0
* purposeOfEvent 0..0

Invariant: wae-1
Description: "The action fits the kind of event."
Severity: #error
Expression: "action = iif(type.code = '110106', 'R', iif(type.code = '110107', 'C', iif(type.code = '110113', 'E', iif(subtype.code = 'read', 'R', iif(subtype.code = 'search', 'E', iif(subtype.code = 'create', 'C', iif(subtype.code = 'update', 'U', 'D')))))))"

Invariant: wae-2
Description: "The subtype belongs to the type."
Severity: #error
Expression: "iif(type.code = '110113', subtype.code = 'AuthZ-Consent' or subtype.code = 'AuthZ-Role', iif(type.code = 'rest', subtype.system = 'http://hl7.org/fhir/restful-interaction', subtype.code = 'disclose'))"

Invariant: wae-3
Description: "The agents are those of this kind of event, each once: of an access the client, the server and who asked; of a decision the application, who asked with their organization, and the authorizer; of an exchange both sides."
Severity: #error
Expression: "iif(type.code = '110113', agent.count() = 4 and agent.where(type.coding.code = '110150').exists() and agent.where(type.coding.code = 'IRCP').exists() and agent.where(type.coding.code = 'PROV').exists() and agent.where(type.coding.code = 'authserver').exists(), iif(subtype.code = 'delete', agent.count() = 3 and agent.where(type.coding.code = '110150').exists() and agent.where(type.coding.code = 'custodian').exists() and agent.where(type.coding.code = 'AUT').exists(), agent.where(type.coding.code = '110152').exists() and agent.where(type.coding.code = '110153').exists() and iif(type.code = 'rest', agent.count() = 3 and agent.where(type.coding.code = iif(%resource.subtype.code = 'read' or %resource.subtype.code = 'search', 'IRCP', 'AUT')).exists(), agent.count() = 2)))"

Invariant: wae-4
Description: "The entities are those of this kind of event: of an access a patient and items; of a decision the patient, the releases and the token; of an exchange the patient, the items and the releases."
Severity: #error
Expression: "iif(type.code = 'rest', entity.where(type.code = 'Consent' or type.code = 'UserOauthAgent').empty(), iif(type.code = '110113', entity.where(type.code = '2').empty() and iif(subtype.code = 'AuthZ-Consent', entity.where(type.code = '1').exists() and entity.where(type.code = 'Consent').exists(), entity.where(type.code = 'Consent').empty()), entity.where(type.code = '1').exists() and entity.where(type.code = '2').exists() and entity.where(type.code = 'Consent').exists() and entity.where(type.code = 'UserOauthAgent').empty()))"

Invariant: wae-5
Description: "Exactly one agent asks, and that one, and nobody else, has a purpose."
Severity: #error
Expression: "agent.where(requestor = true).count() = 1 and agent.where(purposeOfUse.exists()).count() = 1 and agent.where(requestor = true and purposeOfUse.exists()).count() = 1"

Invariant: wae-6
Description: "The observer is the agent that records: the authorizer of a decision, our side of an exchange."
Severity: #error
Expression: "iif(type.code = 'rest', true, agent.where(type.coding.code = iif(%resource.type.code = '110113', 'authserver', iif(%resource.type.code = '110106', '110153', '110152'))).who.reference = source.observer.reference)"

Invariant: wae-7
Description: "BALP is claimed only where its profile holds: with a patient, not of a search, not of a decision by role; of an access or an exchange a success, of an access one item."
Severity: #error
Expression: "meta.profile.count() = 1 or (entity.where(type.code = '1').exists() and iif(type.code = '110113', subtype.code = 'AuthZ-Consent', outcome = '0' and iif(type.code = 'rest', subtype.code != 'search' and entity.where(type.code = '2').count() = 1, true)))"
