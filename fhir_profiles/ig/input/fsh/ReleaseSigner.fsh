Extension: ReleaseSigner
Id: release-signer
Title: "Release signer"
Description: "Who signed the release. The alleged abuser may never sign (28 CFR 94.115), so a representative is one who is not. No extension of Gravity or IHE says this."
* ^context.type = #element
* ^context.expression = "Consent"
* id 0..0
* value[x] 1..1
* value[x] only code
* valueCode from ReleaseSignerVS (required)
* insert Bare(valueCode)
