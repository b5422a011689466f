Extension: Mou
Id: mou
Title: "Agreement"
Description: "The signed agreement between two organizations, and the time within which the program promises to acknowledge. It opens the channel, never a person's data. No published profile of OrganizationAffiliation carries it."
* ^context.type = #element
* ^context.expression = "OrganizationAffiliation"
* id 0..0
* extension contains document 1..1 and acknowledgeWithin 1..1
* extension ^slicing.rules = #closed
* extension[document] ^short = "The signed paper"
* extension[document].value[x] 1..1
* extension[document].value[x] only Reference(DocumentReference)
* insert PlainReference(extension[document].valueReference)
* extension[acknowledgeWithin] ^short = "The program's promise, in minutes"
* extension[acknowledgeWithin].value[x] 1..1
* extension[acknowledgeWithin].value[x] only Duration
* extension[acknowledgeWithin].valueDuration.id 0..0
* extension[acknowledgeWithin].valueDuration.extension 0..0
* extension[acknowledgeWithin].valueDuration.comparator 0..0
* extension[acknowledgeWithin].valueDuration.unit 0..0
* extension[acknowledgeWithin].valueDuration.value 1..1
* extension[acknowledgeWithin].valueDuration.system 1..1
* extension[acknowledgeWithin].valueDuration.system = "http://unitsofmeasure.org"
* extension[acknowledgeWithin].valueDuration.code 1..1
* extension[acknowledgeWithin].valueDuration.code = #min
* extension[acknowledgeWithin].valueDuration obeys wmo-1

Invariant: wmo-1
Description: "A whole number of minutes, from one minute to one week."
Severity: #error
Expression: "value >= 1 and value <= 10080 and value = value.truncate()"
