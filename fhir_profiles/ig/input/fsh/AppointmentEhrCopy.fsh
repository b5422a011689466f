Profile: AppointmentEhrCopy
Parent: Appointment
Id: appointment-ehr-copy
Title: "Neutral visit in an EHR's schedule"
Description: """What an EHR's schedule may hold of a visit: "Office visit" and a time. No reason, comment, partner, referral or sensitivity
label. It relies on no label: what is not there cannot be shown.

**Parent meant:** Appointment of base R4. **Narrower:** no basedOn, requestedPeriod, reason or description.

**Labels:** R at most, nothing else."""
* insert Closed
* insert NoRootExtension
* meta.id 0..0
* meta.profile 0..0
* meta.profile ^short = "Not claimed: our own address would tell"
* meta.extension 0..0
* meta.source 0..0
* meta.tag 0..0
* meta.security 0..1
* insert PlainCoding(meta.security)
* meta.security.system = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
* meta.security.code = #R
* status from VisitCopyStatusVS (required)
* insert Bare(status)
* serviceType 1..1
* serviceType.id 0..0
* serviceType.extension 0..0
* serviceType.coding 0..0
* serviceType.text 1..1
* insert Bare(serviceType.text)
* serviceType.text = "Office visit"
* start 1..1
* insert Bare(start)
* end 1..1
* insert Bare(end)
* participant 1..2
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
* obeys wap-2
// Nothing else is sent.
* identifier 0..0
* cancelationReason 0..0
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
* basedOn 0..0
* requestedPeriod 0..0
