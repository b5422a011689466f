Profile: ReleaseConsent
Parent: Consent
Id: release-consent
Title: "Release"
Description: """The survivor's own written release: one direction, one recipient, named items, dated, 90 days at most (30 by default).
**A** is health center to program, **B** is program to health center: two one-way releases, never one "mutual" release.

**Parent meant:** Gravity SDOH Clinical Care 3.0.0 `SDOHCC-Consent`; it also fits IHE PCF's Advanced consent, which is why
`provision.action`, `class`, `code` and `verification` are absent. Base R4 is used because neither package can be loaded
offline. **Mapped:** `scope` patient-privacy; `category` IDSCL and LOINC 59284-0; `organization` is the discloser;
`provision.actor` with role IRCP is the recipient; `provision.data` with meaning instance names each item;
`provision.securityLabel` names what it opens; `sourceReference` is the signed form's number only, never the form.
**Added:** who signed (release-signer), how much may be told back (release-tier).

**Labels, exactly:** V, SDV, NORDSCLCD, NOREUSE, PERSISTLABEL, CPLYCD: naming a program discloses."""
* insert Closed
* insert Labelled
* insert Personal
* meta.profile 0..2
* extension 1..1
* extension contains ReleaseSigner named signer 1..1
* extension ^slicing.rules = #closed
* status from ReleaseStatusVS (required)
* insert Bare(status)
* insert PlainConcept(scope)
* scope.coding.system = "http://terminology.hl7.org/CodeSystem/consentscope"
* scope.coding.code = #patient-privacy
* category 2..2
* insert PlainConcept(category)
* category ^slicing.discriminator.type = #value
* category ^slicing.discriminator.path = "coding.system"
* category ^slicing.rules = #closed
* category contains disclosure 1..1 and consent 1..1
* category[disclosure].coding.system = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
* category[disclosure].coding.code = #IDSCL
* category[consent].coding.system = "http://loinc.org"
* category[consent].coding.code = #59284-0
* patient 1..1
* patient only Reference(Patient)
* insert PlainReference(patient)
* dateTime 1..1
* dateTime obeys wrx-1
* insert Bare(dateTime)
* performer 1..1
* performer only Reference(Patient)
* insert PlainReference(performer)
* organization 1..1
* organization only Reference(Organization)
* organization ^short = "The one that discloses"
* insert PlainReference(organization)
* source[x] 1..1
* source[x] only Reference(DocumentReference)
* sourceReference.id 0..0
* sourceReference.extension 0..0
* sourceReference.reference 0..0
* sourceReference.display 0..0
* sourceReference.type 1..1
* sourceReference.type = "DocumentReference"
* insert Bare(sourceReference.type)
* sourceReference.identifier 1..1
* insert PlainIdentifier(sourceReference.identifier)
* policy 1..1
* policy.id 0..0
* policy.extension 0..0
* policy.modifierExtension 0..0
* policy.authority 0..0
* policy.uri 1..1
* insert Bare(policy.uri)
* provision 1..1
* provision.id 0..0
* provision.modifierExtension 0..0
* provision.extension contains ReleaseTier named tier 0..1
* provision.extension ^slicing.rules = #closed
* provision.type 1..1
* provision.type = #permit
* insert Bare(provision.type)
* provision.period 1..1
* insert PlainPeriod(provision.period)
* provision.actor 1..1
* provision.actor ^short = "The one recipient"
* provision.actor.id 0..0
* provision.actor.extension 0..0
* provision.actor.modifierExtension 0..0
* insert PlainConcept(provision.actor.role)
* provision.actor.role.coding.system = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
* provision.actor.role.coding.code = #IRCP
* provision.actor.reference only Reference(Organization)
* insert PlainReference(provision.actor.reference)
* provision.action 0..0
* provision.securityLabel 1..8
* provision.securityLabel from ReleaseLabelVS (required)
* insert PlainCoding(provision.securityLabel)
* provision.purpose 1..2
* provision.purpose from ReleasePurposeVS (required)
* insert PlainCoding(provision.purpose)
* provision.class 0..0
* provision.code 0..0
* provision.dataPeriod 0..0
* provision.data 1..8
* provision.data.id 0..0
* provision.data.extension 0..0
* provision.data.modifierExtension 0..0
* provision.data.meaning = #instance
* insert Bare(provision.data.meaning)
* provision.data.reference only Reference(ServiceRequest or Task or Appointment)
* insert PlainReference(provision.data.reference)
* provision.provision 0..0
* obeys wco-1 and wco-2 and wco-3 and wco-4 and wco-5 and wco-6
// Nothing else is sent.
* identifier 0..0
* policyRule 0..0
* verification 0..0

Invariant: wco-1
Description: "The release is the patient's own."
Severity: #error
Expression: "performer.reference = patient.reference"

Invariant: wco-2
Description: "Discloser and recipient are two organizations: a release has one direction."
Severity: #error
Expression: "organization.reference != provision.actor.reference.reference"

Invariant: wco-3
Description: "The release names what it opens: SDV."
Severity: #error
Expression: "provision.securityLabel.where(system = 'http://terminology.hl7.org/CodeSystem/v3-ActCode' and code = 'SDV').exists()"

Invariant: wco-4
Description: "The release names exactly one confidentiality level, and each label once."
Severity: #error
Expression: "provision.securityLabel.where(system = 'http://terminology.hl7.org/CodeSystem/v3-Confidentiality').count() = 1 and provision.securityLabel.code.isDistinct()"

Invariant: wco-5
Description: "Each item is named once."
Severity: #error
Expression: "provision.data.reference.reference.isDistinct()"

Invariant: wco-6
Description: "A release lasts 90 days at most."
Severity: #error
Expression: "iif(provision.period.end > provision.period.start + 90 days, false, true)"
