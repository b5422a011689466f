// What every profile of ours forbids, written once. What is not asked for is not sent, stored or shown.

// No free text, no hidden resource, no element that changes meaning.
RuleSet: Closed
* id 0..1
* id ^short = "Opaque: made for this referral, never an EHR's id"
* implicitRules 0..0
* language 0..0
* text 0..0
* contained 0..0
* modifierExtension 0..0

RuleSet: NoRootExtension
* extension 0..0

// Labels travel with everything about a person. A resource that comes in without any is labelled by the receiver.
RuleSet: Labelled
* meta.id 0..0
* meta.extension 0..0
* meta.source 0..0
* meta.tag 0..0
* meta.security 0..24 MS
* meta.security ^short = "Security labels: compared by system and code, exactly"
* meta.security.id 0..0
* meta.security.display 0..0
* meta.security.userSelected 0..0
* meta.security.system 1..1
* meta.security.code 1..1
* insert Bare(meta.security.system)
* insert Bare(meta.security.code)
* meta.security.extension 0..1
* meta.security.extension ^short = "DS4P's extension-sec-label-basis: the law behind this label"
* meta.security.extension.url = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-sec-label-basis"
* meta.security.extension.id 0..0
* meta.security.extension.extension 0..0
* meta.security.extension.value[x] 1..1
* meta.security.extension.value[x] only Coding
* meta.security.extension.valueCoding from LawBasisVS (required)
* insert PlainCoding(meta.security.extension.valueCoding)
* obeys wrl-1 and wrl-2 and wrl-4

// A person's data: nothing below restricted.
RuleSet: Personal
* obeys wrl-3

// A plain value has nothing beside it.
RuleSet: Bare(path)
* {path}.id 0..0
* {path}.extension 0..0

RuleSet: PlainCoding(path)
* {path}.id 0..0
* {path}.extension 0..0
* {path}.system 1..1
* {path}.version 0..0
* {path}.code 1..1
* {path}.display 0..0
* {path}.userSelected 0..0
* insert Bare({path}.system)
* insert Bare({path}.code)

RuleSet: PlainConcept(path)
* {path}.id 0..0
* {path}.extension 0..0
* {path}.coding 1..1
* {path}.text 0..0
* insert PlainCoding({path}.coding)

RuleSet: PlainReference(path)
* {path}.id 0..0
* {path}.extension 0..0
* {path}.reference 1..1
* {path}.type 0..0
* {path}.identifier 0..0
* {path}.display 0..0
* insert Bare({path}.reference)

RuleSet: PlainIdentifier(path)
* {path}.id 0..0
* {path}.extension 0..0
* {path}.use 0..0
* {path}.type 0..0
* {path}.system 1..1
* {path}.value 1..1
* {path}.value ^maxLength = 64
* {path}.period 0..0
* {path}.assigner 0..0
* insert Bare({path}.system)
* insert Bare({path}.value)

// An identifier that needs no system: its value says it all.
RuleSet: OnlyValue(path)
* {path}.id 0..0
* {path}.extension 0..0
* {path}.use 0..0
* {path}.type 0..0
* {path}.system 0..0
* {path}.value 1..1
* insert Bare({path}.value)
* {path}.period 0..0
* {path}.assigner 0..0

RuleSet: PlainPeriod(path)
* {path}.id 0..0
* {path}.extension 0..0
* {path}.start 1..1
* {path}.end 1..1
* {path}.start obeys wrx-1
* {path}.end obeys wrx-1
* insert Bare({path}.start)
* insert Bare({path}.end)

RuleSet: PublicPhone(path)
* {path}.id 0..0
* {path}.extension 0..0
* {path}.system 1..1
* {path}.system = #phone
* {path}.value 1..1
* {path}.use 0..0
* {path}.rank 0..0
* {path}.period 0..0
* {path} obeys wrp-1
* insert Bare({path}.system)
* insert Bare({path}.value)

Invariant: wrl-1
Description: "One confidentiality level at most: two would let a reader choose the weaker. (The retired code SDV of that system is no level; it is read as today's SDV.)"
Severity: #error
Expression: "meta.security.where(system = 'http://terminology.hl7.org/CodeSystem/v3-Confidentiality' and code != 'SDV').count() <= 1"

Invariant: wrl-2
Description: "A label that forbids keeping a record cannot be honoured here (DELAU, NOPERSISTP, NOCOLLECT)."
Severity: #error
Expression: "meta.security.where(system = 'http://terminology.hl7.org/CodeSystem/v3-ActCode' and (code = 'DELAU' or code = 'NOPERSISTP' or code = 'NOCOLLECT')).empty()"

Invariant: wrl-3
Description: "What is about a person is restricted (R) or very restricted (V), never less."
Severity: #error
Expression: "meta.security.where(system = 'http://terminology.hl7.org/CodeSystem/v3-Confidentiality' and code != 'SDV').all(code = 'V' or code = 'R')"

Invariant: wrl-4
Description: "A redacted view is never written back."
Severity: #error
Expression: "meta.security.where(system = 'http://terminology.hl7.org/CodeSystem/v3-ObservationValue' and code = 'REDACTED').empty()"

Invariant: wrp-1
Description: "A phone number: digits and the usual signs between them, nothing else."
Severity: #error
Expression: "value.matches('^[+]?[0-9(][0-9 ().x/-]{2,28}[0-9]$')"

Invariant: wrx-1
Description: "Dates are whole: year, month and day."
Severity: #error
Expression: "$this.toString().length() >= 10"
