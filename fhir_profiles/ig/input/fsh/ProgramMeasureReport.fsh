Profile: ProgramMeasureReport
Parent: MeasureReport
Id: program-measure-report
Title: "Counts of a program"
Description: """Counts that may leave a site: a summary over a month or more, nobody in it. A count from 1 to 10 is masked, and so is what would
reveal it; a count is absent only as masked.

**Parent meant:** none; DEQM's summary MeasureReport is nearest, and asks for a reporter and a measure of record that a program does not
have. Base R4. **Narrower:** no subject, reporter, evaluated resource, stratifier or row.

**Labels, exactly:** L, AGGRED, ANONYED, NORELINK, PERSISTLABEL, HPRGRP."""
* insert Closed
* insert NoRootExtension
* insert Labelled
* meta.profile 0..1
* status = #complete
* insert Bare(status)
* type = #summary
* insert Bare(type)
* period 1..1
* insert PlainPeriod(period)
* group 1..50
* group.id 0..0
* group.extension 0..0
* group.modifierExtension 0..0
* group.code 1..1
* group.code.coding 0..0
* group.code.text 1..1
* insert Bare(group.code.text)
* group.code.text ^maxLength = 80
* group.population 1..1
* group.population.id 0..0
* group.population.extension 0..1
* group.population.extension contains http://hl7.org/fhir/StructureDefinition/data-absent-reason named masked 0..1
* group.population.extension ^slicing.rules = #closed
* group.population.extension[masked].valueCode = #masked
* group.population.modifierExtension 0..0
* group.population.code 0..0
* insert Bare(group.population.count)
* group.population.subjectResults 0..0
* group.population obeys wmr-1
* group.measureScore 0..0
* group.stratifier 0..0
* obeys wmr-2 and wmr-3
// Nothing else is sent.
* identifier 0..0
* subject 0..0
* date 0..0
* reporter 0..0
* improvementNotation 0..0
* evaluatedResource 0..0

Invariant: wmr-1
Description: "A count is 0 or more than 10; otherwise it is absent and said to be masked."
Severity: #error
Expression: "iif(count.exists(), (count = 0 or count > 10) and extension.empty(), extension.exists())"

Invariant: wmr-2
Description: "The period is a month or more."
Severity: #error
Expression: "iif(period.end < period.start + 27 days, false, true)"

Invariant: wmr-3
Description: "Each count has a name of its own: two of one name could be subtracted."
Severity: #error
Expression: "group.code.text.isDistinct()"
