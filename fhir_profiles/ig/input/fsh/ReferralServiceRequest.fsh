Profile: ReferralServiceRequest
Parent: ServiceRequest
Id: referral-service-request
Title: "Referral request"
Description: """What is asked of the other side. A referral needs no disclosure: there is no reason, no diagnosis, no insurance and no
encounter. The requester is an organization, never a person.

**Parent meant:** Gravity SDOH Clinical Care 3.0.0 `SDOHCC-ServiceRequest` (itself US Core ServiceRequest). Base R4 is used
because neither package can be loaded offline. **Mapped:** `category` social service procedure (SNOMED 410606002) and the
Gravity category; `code` is SNOMED 308440001, referral to social worker: neutral, and a standard code as the parent's
binding asks; `orderDetail` carries Gravity's `contacting-subject-prohibited` whenever no safe number is given, and the
ticked needs; `supportingInfo` is the release. **Added:** the extension safe-contact, exactly once.

**Labels, exactly:** V, SDV, NORDSCLCD, NOREUSE, PERSISTLABEL, COC."""
* insert Closed
* insert Labelled
* insert Personal
* meta.profile 0..2
* extension 1..1
* extension contains SafeContact named safeContact 1..1
* extension ^slicing.rules = #closed
* status from ReferralRequestStatusVS (required)
* insert Bare(status)
* intent = #order
* insert Bare(intent)
* insert Bare(priority)
* category 2..2
* insert PlainConcept(category)
* category ^slicing.discriminator.type = #value
* category ^slicing.discriminator.path = "coding.system"
* category ^slicing.rules = #closed
* category contains socialService 1..1 and domain 1..1
* category[socialService].coding.system = "http://snomed.info/sct"
* category[socialService].coding.code = #410606002
* category[domain].coding.system = "http://hl7.org/fhir/us/sdoh-clinicalcare/CodeSystem/SDOHCC-CodeSystemTemporaryCodes"
* category[domain].coding.code = #sdoh-category-unspecified
* code 1..1
* insert PlainConcept(code)
* code.coding.system = "http://snomed.info/sct"
* code.coding.code = #308440001
* orderDetail 0..8
* orderDetail from ReferralOrderDetailVS (required)
* insert PlainConcept(orderDetail)
* subject only Reference(Patient)
* insert PlainReference(subject)
* occurrence[x] only Period
* insert PlainPeriod(occurrencePeriod)
* authoredOn 1..1
* authoredOn obeys wrx-1
* insert Bare(authoredOn)
* requester 1..1
* requester only Reference(Organization)
* insert PlainReference(requester)
* performer 1..1
* performer only Reference(Organization or HealthcareService)
* insert PlainReference(performer)
* supportingInfo 1..1
* supportingInfo only Reference(Consent)
* supportingInfo ^short = "The release under which this is sent"
* insert PlainReference(supportingInfo)
* obeys wsr-1 and wsr-2
// Nothing else is sent.
* identifier 0..0
* instantiatesCanonical 0..0
* instantiatesUri 0..0
* basedOn 0..0
* replaces 0..0
* requisition 0..0
* doNotPerform 0..0
* quantity[x] 0..0
* encounter 0..0
* asNeeded[x] 0..0
* performerType 0..0
* locationCode 0..0
* locationReference 0..0
* reasonCode 0..0
* reasonReference 0..0
* insurance 0..0
* specimen 0..0
* bodySite 0..0
* note 0..0
* patientInstruction 0..0
* relevantHistory 0..0

Invariant: wsr-1
Description: "Contact is prohibited exactly when no safe phone number is given."
Severity: #error
Expression: "orderDetail.coding.where(code = 'contacting-subject-prohibited').exists() != extension.where(url = 'https://warm-referral.example/fhir/StructureDefinition/safe-contact').extension.where(url = 'telecom').exists()"

Invariant: wsr-2
Description: "Each order detail stands once."
Severity: #error
Expression: "orderDetail.coding.code.isDistinct()"
