Profile: ReferralBundle
Parent: Bundle
Id: referral-bundle
Title: "Referral"
Description: """One referral as a transaction, the same in both directions: one person, one request, one task, and the sender's release.
A program's referral to a clinic may add one proposed visit and the clinic's own release (A), by which day and time may be
told back.

**fullUrl** is `urn:uuid:...`, or `<base>/<Type>/<id>` with that id in the resource. References are relative or urn:uuid
and lead to entries of this Bundle. A release names the request and the task.

**Parent meant:** none; Gravity and BSeR send single resources or messages. Base R4 Bundle.

**Labels, exactly:** one confidentiality code, the highest of its entries. Everything else stands on the entries: who handles
envelopes reads this label."""
* id 0..1
* implicitRules 0..0
* language 0..0
* insert Labelled
* insert Personal
* meta.profile 0..1
* identifier 1..1
* insert PlainIdentifier(identifier)
* type = #transaction
* insert Bare(type)
* insert Bare(timestamp)
* total 0..0
* link 0..0
* signature 0..0
* entry 4..6
* entry.id 0..0
* entry.extension 0..0
* entry.modifierExtension 0..0
* entry.link 0..0
* entry.search 0..0
* entry.response 0..0
* entry.fullUrl 1..1
* insert Bare(entry.fullUrl)
* entry.resource 1..1
* entry.request 1..1
* entry.request.id 0..0
* entry.request.extension 0..0
* entry.request.modifierExtension 0..0
* entry.request.method = #POST
* insert Bare(entry.request.method)
* insert Bare(entry.request.url)
* entry.request.ifNoneMatch 0..0
* entry.request.ifModifiedSince 0..0
* entry.request.ifMatch 0..0
* entry.request.ifNoneExist 0..0
* entry ^slicing.discriminator.type = #type
* entry ^slicing.discriminator.path = "resource"
* entry ^slicing.rules = #closed
* entry contains patient 1..1 and release 1..2 and serviceRequest 1..1 and task 1..1 and appointment 0..1
* entry[patient].resource only ReferralPatient
* entry[patient].request.url = "Patient"
* entry[release].resource only ReleaseConsent
* entry[release].request.url = "Consent"
* entry[serviceRequest].resource only ReferralServiceRequest
* entry[serviceRequest].request.url = "ServiceRequest"
* entry[task].resource only ReferralTask
* entry[task].request.url = "Task"
* entry[appointment].resource only ProposedAppointment
* entry[appointment].request.url = "Appointment"
* obeys wrb-1 and wrb-2 and wrb-3 and wrb-4 and wrb-5 and wrb-6 and wrb-7 and wrb-8 and wrb-9 and wrb-10

// What stands in the brackets of a function names its own start ($this, %resource): engines differ in what they assume.
Invariant: wrb-1
Description: "An address is a urn:uuid, or ends in the type and the id of its resource."
Severity: #error
Expression: "entry.all(fullUrl.startsWith('urn:uuid:') or fullUrl.endsWith('/' & $this.request.url & '/' & $this.resource.id))"

Invariant: wrb-2
Description: "A new referral begins: its release and request are active, its task is requested, its visit is proposed."
Severity: #error
Expression: "entry.resource.ofType(Consent).all(status = 'active') and entry.resource.ofType(ServiceRequest).all(status = 'active') and entry.resource.ofType(Task).all(status = 'requested') and entry.resource.ofType(Appointment).all(status = 'proposed')"

Invariant: wrb-3
Description: "Request and task name one requester."
Severity: #error
Expression: "entry.resource.ofType(ServiceRequest).requester.reference = entry.resource.ofType(Task).requester.reference"

Invariant: wrb-4
Description: "The task leads to the request of this Bundle."
Severity: #error
Expression: "entry.where(request.url = 'ServiceRequest').fullUrl = entry.resource.ofType(Task).focus.reference or entry.where(request.url = 'ServiceRequest').fullUrl.endsWith('/' & %resource.entry.resource.ofType(Task).focus.reference)"

Invariant: wrb-5
Description: "Request and task lead to the person of this Bundle."
Severity: #error
Expression: "entry.resource.ofType(Task).for.reference = entry.resource.ofType(ServiceRequest).subject.reference and (entry.where(request.url = 'Patient').fullUrl = entry.resource.ofType(Task).for.reference or entry.where(request.url = 'Patient').fullUrl.endsWith('/' & %resource.entry.resource.ofType(Task).for.reference))"

Invariant: wrb-6
Description: "The sender's release is from the requester to the owner."
Severity: #error
Expression: "entry.resource.ofType(Consent).where(organization.reference = %resource.entry.resource.ofType(Task).requester.reference and provision.actor.reference.reference = %resource.entry.resource.ofType(Task).owner.reference).count() = 1"

Invariant: wrb-7
Description: "A second release is from the owner back to the requester."
Severity: #error
Expression: "entry.resource.ofType(Consent).count() = 1 or entry.resource.ofType(Consent).where(organization.reference = %resource.entry.resource.ofType(Task).owner.reference and provision.actor.reference.reference = %resource.entry.resource.ofType(Task).requester.reference).count() = 1"

Invariant: wrb-8
Description: "Each release names the request and the task of this Bundle."
Severity: #error
Expression: "entry.resource.ofType(Consent).all(provision.data.reference.where(reference = %resource.entry.resource.ofType(Task).focus.reference).exists() and provision.data.reference.where(reference = %resource.entry.where(request.url = 'Task').fullUrl or reference = 'Task/' & %resource.entry.where(request.url = 'Task').resource.id).exists())"

Invariant: wrb-9
Description: "The request leads to a release of this Bundle."
Severity: #error
Expression: "entry.where(request.url = 'Consent').where(fullUrl.endsWith(%resource.entry.resource.ofType(ServiceRequest).supportingInfo.reference)).exists()"

Invariant: wrb-10
Description: "Releases and visit are of the person of this Bundle, and the visit is for its request."
Severity: #error
Expression: "entry.resource.ofType(Consent).all(patient.reference = %resource.entry.resource.ofType(Task).for.reference) and entry.resource.ofType(Appointment).all(basedOn.reference = %resource.entry.resource.ofType(Task).focus.reference and participant.actor.where(reference = %resource.entry.resource.ofType(Task).for.reference).exists())"
