Profile: PartnerOrganization
Parent: Organization
Id: partner-organization
Title: "Partner"
Description: """A program as the public knows it: a name and its public line. Never an address: a location can kill.

**Parent meant:** US Core Organization, whose mandatory elements (active, name) are here. Base R4 is used because US Core's
package cannot be loaded offline. **Narrower:** no address, contact, alias or part-of.

**Labels:** none; public data."""
* insert Closed
* insert NoRootExtension
* insert Labelled
* meta.profile 0..1
* identifier 1..1
* insert PlainIdentifier(identifier)
* active 1..1
* insert Bare(active)
* name 1..1
* name ^maxLength = 80
* insert Bare(name)
* telecom 1..3
* insert PublicPhone(telecom)
// Nothing else is sent.
* type 0..0
* alias 0..0
* address 0..0
* partOf 0..0
* contact 0..0
* endpoint 0..0
