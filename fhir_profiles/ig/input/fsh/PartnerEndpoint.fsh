Profile: PartnerEndpoint
Parent: Endpoint
Id: partner-endpoint
Title: "Partner's FHIR address"
Description: """Where a program with a FHIR system takes referrals. A program without one has no Endpoint: it is reached by phone.

**Parent meant:** the shape of `ndh-Endpoint` of the National Directory of Healthcare Providers. Base R4 is used because its
package cannot be loaded offline. **Narrower:** https only, no header, contact, name or period.

**Labels:** none; public data."""
* insert Closed
* insert NoRootExtension
* insert Labelled
* meta.profile 0..1
* status = #active
* insert Bare(status)
* insert PlainCoding(connectionType)
* connectionType.system = "http://terminology.hl7.org/CodeSystem/endpoint-connection-type"
* connectionType.code = #hl7-fhir-rest
* managingOrganization 1..1
* insert PlainReference(managingOrganization)
* payloadType 1..1
* insert PlainConcept(payloadType)
* payloadType.coding.system = "http://terminology.hl7.org/CodeSystem/endpoint-payload-type"
* payloadType.coding.code = #any
* address ^maxLength = 200
* insert Bare(address)
* obeys wpe-1
// Nothing else is sent.
* identifier 0..0
* name 0..0
* contact 0..0
* period 0..0
* payloadMimeType 0..0
* header 0..0

Invariant: wpe-1
Description: "The address is https."
Severity: #error
Expression: "address.startsWith('https://')"
