Profile: AccessAuditEvent
Parent: AuditEvent
Id: access-audit-event
Title: "Access"
Description: """One decision or access at the door of the vault: who asked, for which purpose, what was touched under which labels, and what was
decided. Opaque ids only; it stays in the vault.

**Parent meant:** IHE BALP `IHE.BasicAudit.PatientRead`, `PatientQuery`, `PatientCreate`, `PatientUpdate` and
`PatientDelete`; base R4 is used because IHE's package cannot be loaded offline. **Mapped:** the three agents (application
110152, vault 110153, and who asked as IRCP), patient entity (1/1), data entity (2/4), rest type and subtype. **Added:**
`agent.purposeOfUse` of who asked and `entity.securityLabel`, the labels of what was touched. BALP is claimed in
`meta.profile` only where it can hold: a permitted access with a patient. Decisions on a release will follow BALP's
AuthZconsent.

**Labels, exactly:** V, SDV, PERSISTLABEL."""
* insert Closed
* insert NoRootExtension
* insert Labelled
* insert Personal
* meta 1..1
* meta.profile 1..2
* meta.security 1..24
* insert PlainCoding(type)
* type.system = "http://terminology.hl7.org/CodeSystem/audit-event-type"
* type.code = #rest
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
* agent 3..3
* agent.id 0..0
* agent.extension 0..0
* agent.modifierExtension 0..0
* agent.type 1..1
* insert PlainConcept(agent.type)
* agent.role 0..0
* agent.who 1..1
* agent.who.id 0..0
* agent.who.extension 0..0
* agent.who.type 0..0
* agent.who.display 0..0
* agent.altId 0..0
* agent.name 0..0
* insert Bare(agent.requestor)
* agent.location 0..0
* agent.policy 0..0
* agent.media 0..0
* agent.network.id 0..0
* agent.network.extension 0..0
* agent.network.modifierExtension 0..0
* agent ^slicing.discriminator.type = #value
* agent ^slicing.discriminator.path = "type.coding.code"
* agent ^slicing.rules = #closed
* agent contains application 1..1 and vault 1..1 and asker 1..1
* agent[application].type.coding.system = "http://dicom.nema.org/resources/ontology/DCM"
* agent[application].type.coding.code = #110152
* agent[application].who.identifier 1..1
* agent[application].who.identifier.value 1..1
* agent[application].who.identifier.value = "app"
* agent[application].who.reference 0..0
* agent[application].requestor = false
* agent[application].network 1..1
* agent[application].network.address 1..1
* agent[application].network.type 1..1
* agent[application].network.type = #2
* agent[application].purposeOfUse 0..0
* agent[vault].type.coding.system = "http://dicom.nema.org/resources/ontology/DCM"
* agent[vault].type.coding.code = #110153
* agent[vault].who.identifier 1..1
* agent[vault].who.identifier.value 1..1
* agent[vault].who.identifier.value = "vault"
* agent[vault].who.reference 0..0
* agent[vault].requestor = false
* agent[vault].network 1..1
* agent[vault].network.address 1..1
* agent[vault].network.type 1..1
* agent[vault].network.type = #2
* agent[vault].purposeOfUse 0..0
* agent[asker].type.coding.system = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
* agent[asker].type.coding.code = #IRCP
* agent[asker].who only Reference(Practitioner or PractitionerRole or Organization or Device or Patient)
* agent[asker].who.reference 1..1
* agent[asker].who.identifier 0..0
* agent[asker].requestor = true
* agent[asker].network 0..0
* agent[asker].purposeOfUse 1..1
* insert PlainConcept(agent[asker].purposeOfUse)
* agent[asker].purposeOfUse.coding.system = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
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
* insert PlainReference(entity.what)
* entity.type 1..1
* insert PlainCoding(entity.type)
* entity.type.system = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
* entity.role 1..1
* insert PlainCoding(entity.role)
* entity.role.system = "http://terminology.hl7.org/CodeSystem/object-role"
* insert PlainCoding(entity.securityLabel)
* entity ^slicing.discriminator.type = #value
* entity ^slicing.discriminator.path = "type.code"
* entity ^slicing.rules = #closed
* entity contains patient 0..1 and data 0..199
* entity[patient].type.code = #1
* entity[patient].role.code = #1
* entity[patient].what only Reference(Patient)
* entity[data].type.code = #2
* entity[data].role.code = #4
* entity[data].what only Reference(Patient or Observation or ServiceRequest or Task or Consent or Appointment or Encounter or Practitioner)
* obeys wae-1
// Nothing else is sent.
* period 0..0
* outcomeDesc 0..0
* purposeOfEvent 0..0

Invariant: wae-1
Description: "The action fits the interaction."
Severity: #error
Expression: "action = iif(subtype.code = 'read', 'R', iif(subtype.code = 'search', 'E', iif(subtype.code = 'create', 'C', iif(subtype.code = 'update', 'U', 'D'))))"
