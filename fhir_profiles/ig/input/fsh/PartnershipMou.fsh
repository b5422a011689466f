Profile: PartnershipMou
Parent: OrganizationAffiliation
Id: partnership-mou
Title: "Agreement between health center and program"
Description: """The signed agreement between a health center and a program. It opens the channel, never a person's data: each referral needs
its own release. When it is expired or not active, sends stop and the partner's next request is refused.

**Parent meant:** none; no published profile carries a memorandum of understanding. Base R4, with the extension mou.

**Labels:** none; public data, though the document itself is for staff only."""
* insert Closed
* insert Labelled
* meta.profile 0..1
* extension 1..1
* extension contains Mou named mou 1..1
* extension ^slicing.rules = #closed
* active 1..1
* insert Bare(active)
* period 1..1
* insert PlainPeriod(period)
* organization 1..1
* insert PlainReference(organization)
* participatingOrganization 1..1
* insert PlainReference(participatingOrganization)
* endpoint 0..1
* insert PlainReference(endpoint)
* obeys wpm-1
// Nothing else is sent.
* identifier 0..0
* network 0..0
* code 0..0
* specialty 0..0
* location 0..0
* healthcareService 0..0
* telecom 0..0

Invariant: wpm-1
Description: "An agreement has two parties."
Severity: #error
Expression: "organization.reference != participatingOrganization.reference"
