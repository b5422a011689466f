Profile: PartnerService
Parent: HealthcareService
Id: partner-service
Title: "Partner's service"
Description: """What a program offers, and whether it has room: a fact of the program, never of a client. It is read before a referral is sent.

**Parent meant:** Gravity SDOH Clinical Care 3.0.0 `SDOHCC-HealthcareServiceForReferralManagement`. Base R4 is used because its
package cannot be loaded offline. **Mapped:** `active` is fixed to true as there (a suspended partner is unpublished, not
described falsely); `category` sdoh beside a Gravity category; Gravity's capacity-status extension under its own address.
**Narrower:** no location, coverage area, comment or telecom: the public line stands on the Organization.

**Labels:** none; public data."""
* insert Closed
* insert Labelled
* meta.profile 0..1
* extension 1..1
* extension ^short = "Gravity's capacity status"
* extension.id 0..0
* extension.url = "http://hl7.org/fhir/us/sdoh-clinicalcare/StructureDefinition/SDOHCC-ExtensionHealthcareServiceCapacityStatus"
* extension.value[x] 0..0
* extension.extension 1..1
* extension.extension.id 0..0
* extension.extension.extension 0..0
* extension.extension.url = "capacityStatus"
* extension.extension.value[x] 1..1
* extension.extension.value[x] only CodeableConcept
* extension.extension.valueCodeableConcept from CapacityVS (required)
* insert PlainConcept(extension.extension.valueCodeableConcept)
* active 1..1
* active = true
* insert Bare(active)
* providedBy 1..1
* insert PlainReference(providedBy)
* category 1..1
* category from ServiceCategoryVS (required)
* category.id 0..0
* category.extension 0..0
* category.text 0..0
* category.coding 1..3
* insert PlainCoding(category.coding)
* type 1..1
* insert PlainConcept(type)
* type.coding.system = "http://terminology.hl7.org/CodeSystem/service-type"
* type.coding.code = #224
* name 1..1
* name ^maxLength = 80
* insert Bare(name)
* obeys wps-1
// Nothing else is sent.
* identifier 0..0
* specialty 0..0
* location 0..0
* comment 0..0
* extraDetails 0..0
* photo 0..0
* telecom 0..0
* coverageArea 0..0
* serviceProvisionCode 0..0
* eligibility 0..0
* program 0..0
* characteristic 0..0
* communication 0..0
* referralMethod 0..0
* appointmentRequired 0..0
* availableTime 0..0
* notAvailable 0..0
* availabilityExceptions 0..0
* endpoint 0..0

Invariant: wps-1
Description: "The category names sdoh once, and each kind once."
Severity: #error
Expression: "category.coding.where(code = 'sdoh').count() = 1 and category.coding.code.isDistinct()"
