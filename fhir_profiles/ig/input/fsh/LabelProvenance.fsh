Profile: LabelProvenance
Parent: Provenance
Id: label-provenance
Title: "Label change"
Description: """Who changed the labels of which version of an item, and why. It is never labelled weaker than what it is about.

**Parent meant:** DS4P 1.0.0, which asks for a Provenance of labelling but profiles it only in outline; its package cannot be
loaded offline, so base R4 is used. **Mapped:** activity LABEL beside the kind of change, reason LABELING, agent role CLASSIFIER,
DOWNGRDER or DECLASSIFIER; the version before is entity revision, the release or request that caused it is entity source. Raising
takes one; lowering and removing take the privacy officer and a second person, and lowering the survivor's recorded request.
DS4P's extension-sec-label-related-artifact may point here from a label.

**Labels, exactly:** the level and SDV of its target, PERSISTLABEL."""
* insert Closed
* insert NoRootExtension
* insert Labelled
* insert Personal
* meta.profile 0..1
* target 1..1
* target only Reference(Observation or ServiceRequest or Task or Consent or Appointment or Patient or Communication)
* insert PlainReference(target)
* occurred[x] 0..0
* insert Bare(recorded)
* policy 1..1
* insert Bare(policy)
* location 0..0
* reason 1..1
* insert PlainConcept(reason)
* reason.coding.system = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
* reason.coding.code = #LABELING
* activity 1..1
* activity.id 0..0
* activity.extension 0..0
* activity.text 0..0
* activity.coding 2..2
* insert PlainCoding(activity.coding)
* activity.coding.system = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
* activity from LabelChangeVS (required)
* agent 1..2
* agent.id 0..0
* agent.extension 0..0
* agent.modifierExtension 0..0
* agent.type 0..0
* agent.role 1..1
* agent.role from LabelAgentVS (required)
* insert PlainConcept(agent.role)
* agent.who only Reference(Device or Practitioner or PractitionerRole)
* insert PlainReference(agent.who)
* agent.onBehalfOf 0..0
* entity 0..2
* entity.id 0..0
* entity.extension 0..0
* entity.modifierExtension 0..0
* entity.role from LabelSourceRoleVS (required)
* insert Bare(entity.role)
* entity.what only Reference(Observation or ServiceRequest or Task or Consent or Appointment or Patient or Communication)
* insert PlainReference(entity.what)
* entity.agent 0..0
* signature 0..0
* obeys wlp-1 and wlp-2 and wlp-3 and wlp-4 and wlp-5

Invariant: wlp-1
Description: "The target is one version of an item."
Severity: #error
Expression: "target.reference.contains('/_history/')"

Invariant: wlp-2
Description: "The activity is LABEL and one kind of change."
Severity: #error
Expression: "activity.coding.where(code = 'LABEL').count() = 1"

Invariant: wlp-3
Description: "The agent's role fits the change."
Severity: #error
Expression: "agent.role.coding.code.distinct() = iif(activity.coding.where(code = 'DOWNGRDLABEL').exists(), 'DOWNGRDER', iif(activity.coding.where(code = 'DECLASSIFYLABEL').exists(), 'DECLASSIFIER', 'CLASSIFIER'))"

Invariant: wlp-4
Description: "Lowering and removing take two persons, other changes one."
Severity: #error
Expression: "agent.who.reference.distinct().count() = agent.count() and agent.count() = iif(activity.coding.where(code = 'DOWNGRDLABEL' or code = 'DECLASSIFYLABEL').exists(), 2, 1)"

Invariant: wlp-5
Description: "Each kind of entity stands once; the version before is another one than the target; lowering and removing name it, and lowering names the recorded request."
Severity: #error
Expression: "entity.role.isDistinct() and entity.where(role = 'revision').what.reference.where($this = %resource.target.reference).empty() and iif(activity.coding.where(code = 'DOWNGRDLABEL' or code = 'DECLASSIFYLABEL').exists(), entity.where(role = 'revision').exists(), true) and iif(activity.coding.where(code = 'DOWNGRDLABEL').exists(), entity.where(role = 'source').exists(), true)"
