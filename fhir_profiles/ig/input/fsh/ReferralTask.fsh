Profile: ReferralTask
Parent: Task
Id: referral-task
Title: "Referral task"
Description: """The state of one referral between two organizations. Refusals are codes with a fixed wording, never free text. An output names
an Appointment and nothing else, and only inside the survivor's release.

**Parent meant:** Gravity SDOH Clinical Care 3.0.0 `SDOHCC-TaskForReferralManagement`. Base R4 is used because its package
cannot be loaded offline. **Mapped:** `status` as in Gravity's list (R4 less ready and received), `intent`, `code` fulfill,
`focus`, `for`, `requester`, `owner`; `statusReason` code plus its fixed text, which Gravity asks for; business statuses of
BSeR 2.0.0-ballot beside ours. **Narrower:** no description, input, note, encounter, or output other than an Appointment: Gravity
asks for an output on completion, and its own privacy rule lets a partner's stricter consent policy omit it.

**Labels, exactly:** V, SDV, NORDSCLCD, NOREUSE, PERSISTLABEL, COC."""
* insert Closed
* insert NoRootExtension
* insert Labelled
* insert Personal
* meta.profile 0..2
* identifier 1..2
* identifier.id 0..0
* identifier.extension 0..0
* identifier.use 0..0
* identifier.type from ReferralIdentifierTypeVS (required)
* insert PlainConcept(identifier.type)
* identifier.system 1..1
* identifier.value 1..1
* identifier.value ^maxLength = 64
* identifier.period 0..0
* identifier.assigner 0..0
* insert Bare(identifier.system)
* insert Bare(identifier.value)
* status from ReferralTaskStatusVS (required)
* insert Bare(status)
* statusReason from ReferralReasonVS (preferred)
* statusReason ^comment = "A code that is not in the value set is read as `unable` and its text is dropped."
* statusReason.id 0..0
* statusReason.extension 0..0
* statusReason.coding 1..1
* insert PlainCoding(statusReason.coding)
* statusReason.text ^maxLength = 100
* insert Bare(statusReason.text)
* businessStatus from ReferralBusinessStatusVS (required)
* insert PlainConcept(businessStatus)
* intent = #order
* insert Bare(intent)
* code 1..1
* insert PlainConcept(code)
* code.coding.system = "http://hl7.org/fhir/CodeSystem/task-code"
* code.coding.code = #fulfill
* focus 1..1
* focus only Reference(ServiceRequest)
* insert PlainReference(focus)
* for 1..1
* for only Reference(Patient)
* insert PlainReference(for)
* authoredOn 1..1
* authoredOn obeys wrx-1
* insert Bare(authoredOn)
* lastModified obeys wrx-1
* insert Bare(lastModified)
* requester 1..1
* requester only Reference(Organization)
* insert PlainReference(requester)
* owner 1..1
* owner only Reference(Organization)
* insert PlainReference(owner)
* restriction 1..1
* restriction.id 0..0
* restriction.extension 0..0
* restriction.modifierExtension 0..0
* restriction.repetitions 0..0
* restriction.recipient 0..0
* restriction.period 1..1
* restriction.period.id 0..0
* restriction.period.extension 0..0
* restriction.period.end 1..1
* restriction.period.start obeys wrx-1
* restriction.period.end obeys wrx-1
* insert Bare(restriction.period.start)
* insert Bare(restriction.period.end)
* restriction.period ^short = "Until when the other side should have acted"
* output 0..1
* output.id 0..0
* output.extension 0..0
* output.modifierExtension 0..0
* insert PlainConcept(output.type)
* output.type.coding.system = "https://warm-referral.example/fhir/CodeSystem/referral-status"
* output.type.coding.code = #appointment
* output.value[x] only Reference(Appointment)
* insert PlainReference(output.valueReference)
* obeys wta-1 and wta-2
// Nothing else is sent.
* instantiatesCanonical 0..0
* instantiatesUri 0..0
* basedOn 0..0
* groupIdentifier 0..0
* partOf 0..0
* priority 0..0
* description 0..0
* encounter 0..0
* executionPeriod 0..0
* performerType 0..0
* location 0..0
* reasonCode 0..0
* reasonReference 0..0
* insurance 0..0
* note 0..0
* relevantHistory 0..0
* input 0..0

Invariant: wta-1
Description: "Requester and owner are two organizations."
Severity: #error
Expression: "requester.reference != owner.reference"

Invariant: wta-2
Description: "Each identifier stands once."
Severity: #error
Expression: "identifier.select(system & '|' & value).isDistinct()"
