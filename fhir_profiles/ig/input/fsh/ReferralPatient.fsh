Profile: ReferralPatient
Parent: Patient
Id: referral-patient
Title: "Person referred"
Description: """The person of a referral: an opaque identifier made for this referral, and the name to use. Nothing else.

**Parent meant:** US Core Patient, whose mandatory elements (identifier, name, gender) are all here: gender is `unknown`, the
name is `anonymous`. Base R4 is used because US Core's package cannot be loaded offline. **Narrower:** no birth date, address,
telecom, contact, race, ethnicity or link.

**Labels, exactly:** V, SDV, NORDSCLCD, NOREUSE, PERSISTLABEL, LOCIS."""
* insert Closed
* insert NoRootExtension
* insert Labelled
* insert Personal
* meta.profile 0..2
* identifier 1..1
* insert PlainIdentifier(identifier)
* name 1..1
* name.id 0..0
* name.extension 0..0
* name.use 1..1
* name.use = #anonymous
* name.text 0..0
* name.family 0..0
* name.given 1..1
* name.given ^maxLength = 40
* insert Bare(name.use)
* insert Bare(name.given)
* name.prefix 0..0
* name.suffix 0..0
* name.period 0..0
* gender 1..1
* gender = #unknown
* insert Bare(gender)
// Nothing else is sent.
* active 0..0
* telecom 0..0
* birthDate 0..0
* deceased[x] 0..0
* address 0..0
* maritalStatus 0..0
* multipleBirth[x] 0..0
* photo 0..0
* contact 0..0
* communication 0..0
* generalPractitioner 0..0
* managingOrganization 0..0
* link 0..0
