Extension: ReleaseTier
Id: release-tier
Title: "Release tier"
Description: "How much the other side may tell back under this release. Absent is none: silence is a complete answer. No extension of Gravity or IHE limits status-back."
* ^context.type = #element
* ^context.expression = "Consent.provision"
* id 0..0
* value[x] 1..1
* value[x] only code
* valueCode from ReleaseTierVS (required)
* insert Bare(valueCode)
