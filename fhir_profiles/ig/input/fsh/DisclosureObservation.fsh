Profile: DisclosureObservation
Parent: Observation
Id: disclosure-observation
Title: "Disclosure"
Description: """What a patient told in talk, as one coded fact without narrative. No kind is ever required, asked twice or guessed; the
default says only that violence was disclosed. The labels are the same for every kind, so a label does not tell which.

**Parent meant:** Gravity SDOH Clinical Care 3.0.0 `SDOHCC-ObservationAssessment` (itself US Core Simple Observation).
Base R4 is used because neither package can be loaded offline. **Mapped:** `category` sdoh (US Core) and the Gravity
category that follows the kind; `code`, `subject`, `effectiveDateTime`, `performer` as there. **Narrower than the parent:**
no component, focus, note, derivedFrom or member. A resource may claim the parent in `meta.profile` beside this one.

**Labels, exactly:** V, SDV, NORDSCLCD, NOREUSE, PERSISTLABEL, TREAT, and PATRPT or CLINAST."""
* insert Closed
* insert NoRootExtension
* insert Labelled
* insert Personal
* meta.profile 0..2
* identifier 0..1
* insert PlainIdentifier(identifier)
* status from DisclosureStatusVS (required)
* insert Bare(status)
* category 2..2
* insert PlainConcept(category)
* category ^slicing.discriminator.type = #value
* category ^slicing.discriminator.path = "coding.system"
* category ^slicing.rules = #closed
* category contains sdoh 1..1 and domain 1..1
* category[sdoh].coding.system = "http://hl7.org/fhir/us/core/CodeSystem/us-core-category"
* category[sdoh].coding.code = #sdoh
* category[domain].coding.system = "http://hl7.org/fhir/us/sdoh-clinicalcare/CodeSystem/SDOHCC-CodeSystemTemporaryCodes"
* category[domain].coding from DisclosureCategoryVS (required)
* code from DisclosureKindVS (required)
* insert PlainConcept(code)
* subject 1..1
* subject only Reference(Patient)
* insert PlainReference(subject)
* effective[x] 1..1
* effective[x] only dateTime
* insert Bare(effectiveDateTime)
* effectiveDateTime obeys wrx-1
* performer 1..1
* performer only Reference(Practitioner or PractitionerRole)
* performer ^short = "What fhirUser gives, often a Practitioner"
* insert PlainReference(performer)
* value[x] 1..1
* value[x] only boolean
* valueBoolean = true
* insert Bare(valueBoolean)
* obeys wdo-1
// Nothing else is sent.
* basedOn 0..0
* partOf 0..0
* focus 0..0
* encounter 0..0
* issued 0..0
* dataAbsentReason 0..0
* interpretation 0..0
* note 0..0
* bodySite 0..0
* method 0..0
* specimen 0..0
* device 0..0
* referenceRange 0..0
* hasMember 0..0
* derivedFrom 0..0
* component 0..0

Invariant: wdo-1
Description: "The Gravity category follows the kind: it is true for partner violence and elder abuse only."
Severity: #error
Expression: "category.coding.where(system = 'http://hl7.org/fhir/us/sdoh-clinicalcare/CodeSystem/SDOHCC-CodeSystemTemporaryCodes').code = iif(code.coding.code = '706893006', 'intimate-partner-violence', iif(code.coding.code = 'elder-abuse', 'elder-abuse', 'sdoh-category-unspecified'))"
