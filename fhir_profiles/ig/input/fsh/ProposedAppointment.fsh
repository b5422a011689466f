Profile: ProposedAppointment
Parent: Appointment
Id: proposed-appointment
Title: "Proposed visit"
Description: """A visit asked for, then booked or cancelled; neutral in every element. Its type is "Office visit" and nothing says why.

**Parent meant:** Appointment of base R4: Gravity has none, and US Core has none. **Mapped:** `requestedPeriod` and one
`serviceType` as Oracle's proposed create asks; `basedOn` is the referral; who asked stands in the Task. `actor` is never an
Organization (R4). R4's invariant app-4 writes no-show where the code is `noshow`; it has no effect here, since this
profile does not use that status.

**Labels, exactly:** V, SDV, NORDSCLCD, NOREUSE, PERSISTLABEL, LOCIS, COC: a visit at a known program discloses by itself."""
* insert Closed
* insert NoRootExtension
* insert Labelled
* insert Personal
* meta.profile 0..1
* status from VisitStatusVS (required)
* insert Bare(status)
* cancelationReason from VisitCancelReasonVS (required)
* insert PlainConcept(cancelationReason)
* serviceType 1..1
* serviceType.id 0..0
* serviceType.extension 0..0
* serviceType.coding 0..0
* serviceType.text 1..1
* insert Bare(serviceType.text)
* serviceType.text = "Office visit"
* insert Bare(start)
* insert Bare(end)
* requestedPeriod 1..1
* insert PlainPeriod(requestedPeriod)
* basedOn 1..1
* basedOn only Reference(ServiceRequest)
* insert PlainReference(basedOn)
* participant 2..2
* participant.id 0..0
* participant.extension 0..0
* participant.modifierExtension 0..0
* participant.type 0..0
* participant.required 0..0
* participant.period 0..0
* participant.actor 1..1
* participant.actor only Reference(Patient or HealthcareService or Location)
* insert PlainReference(participant.actor)
* participant.status from VisitParticipantStatusVS (required)
* insert Bare(participant.status)
* obeys wap-1 and wap-2
// Nothing else is sent.
* identifier 0..0
* serviceCategory 0..0
* specialty 0..0
* appointmentType 0..0
* reasonCode 0..0
* reasonReference 0..0
* priority 0..0
* description 0..0
* supportingInformation 0..0
* minutesDuration 0..0
* slot 0..0
* created 0..0
* comment 0..0
* patientInstruction 0..0

Invariant: wap-1
Description: "The participants are one patient and one service."
Severity: #error
Expression: "participant.actor.reference.where(startsWith('HealthcareService/') or startsWith('Location/')).count() = 1"

Invariant: wap-2
Description: "A visit ends after it starts."
Severity: #error
Expression: "start.empty() or end.empty() or start < end"
