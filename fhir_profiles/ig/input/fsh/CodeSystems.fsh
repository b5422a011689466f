// Our own codes. fhir_profiles and smart_app use the same; a test compares them.

CodeSystem: DisclosureKindCS
Id: disclosure-kind
Title: "Kind of disclosure"
Description: "What was told. None is ever required. Intimate partner abuse is no code here: SNOMED CT 706893006 says it."
* ^caseSensitive = true
* ^content = #complete
* ^experimental = true
* #violence-disclosed "Violence disclosed, kind not recorded" "The default."
* #sexual-violence "Sexual violence" "By any person. No SNOMED CT code is confirmed."
* #stalking "Stalking" "SNOMED CT 48661000175109 is not confirmed in the US edition."
* #trafficking "Trafficking" "No SNOMED CT code is confirmed."
* #elder-abuse "Elder abuse" "No SNOMED CT code is confirmed."

CodeSystem: LawBasisCS
Id: law-basis
Title: "Law behind a label"
Description: "The federal law for which a label is set. HL7 has no code for these; it stands in DS4P's sec-label-basis and is no access label."
* ^caseSensitive = true
* ^content = #complete
* ^experimental = true
* #VAWA "Violence Against Women Act" "34 USC 12291(b)(2)"
* #FVPSA "Family Violence Prevention and Services Act" "42 USC 10406(c)(5)"
* #VOCA "Victims of Crime Act" "28 CFR 94.115"

CodeSystem: ReferralReasonCS
Id: referral-reason
Title: "Reason of a refused or closed referral"
Description: "Coded, with one fixed wording each, and nothing about the survivor. An unknown code is read as unable."
* ^caseSensitive = true
* ^content = #complete
* ^experimental = true
* #no-capacity "No capacity today"
* #outside-area "Outside our area"
* #language "Language not available"
* #service-not-offered "Service not offered"
* #unable "Unable to take this referral" "All else, a conflict of safety included, so that no reason tells a personal one."
* #closed "Closed" "The only reason ever given with a cancellation: it says none."

CodeSystem: ReferralStatusCS
Id: referral-status
Title: "What became of a referral"
Description: "Business statuses beside those of BSeR, and the type of a task's one output."
* ^caseSensitive = true
* ^content = #complete
* ^experimental = true
* #received-by-inbox "Received by inbox" "A fact of transport, without content."
* #opened-by-person "Opened by a person" "A fact of transport, without content."
* #contact-made "Contact made"
* #handoff-made "Handoff made"
* #patient-reports-connected "The patient reports being connected"
* #no-information "No information" "A valid end. Never read as: did not come."
* #appointment "Appointment" "Type of Task.output: the booked visit, inside the survivor's release."

CodeSystem: ReferralNeedCS
Id: referral-need
Title: "Need"
Description: "Needs a person may tick. None of them says why."
* ^caseSensitive = true
* ^content = #complete
* ^experimental = true
* #housing "A place to stay"
* #legal "Legal help"
* #food "Food"
* #enrollment "Benefits and enrollment"
* #transport "Getting there"
* #counseling "Someone to talk to"
* #medical-visit "A medical visit"

CodeSystem: SafeContactMeetCS
Id: safe-contact-meet
Title: "How the two will meet"
Description: "One is always chosen."
* ^caseSensitive = true
* ^content = #complete
* ^experimental = true
* #on-site "An advocate comes here"
* #call-now "They call together now"
* #clinic-phone "On a phone of the clinic"
* #safe-contact "The program calls a safe number"
* #survivor-calls "The survivor calls when they choose"

CodeSystem: SafeContactVoicemailCS
Id: safe-contact-voicemail
Title: "Voicemail"
Description: "What may be left on the safe number. Absent is none."
* ^caseSensitive = true
* ^content = #complete
* ^experimental = true
* #none "Leave nothing"
* #silent "Call, but say nothing"
* #safe "A message is safe"

CodeSystem: SafeContactAnswererCS
Id: safe-contact-answerer
Title: "Who may answer"
Description: "Who may be spoken to on the safe number. Absent is self."
* ^caseSensitive = true
* ^content = #complete
* ^experimental = true
* #self "The survivor only"
* #anyone "Anyone"

CodeSystem: ReleaseSignerCS
Id: release-signer
Title: "Who signed a release"
Description: "The alleged abuser may never sign (28 CFR 94.115)."
* ^caseSensitive = true
* ^content = #complete
* ^experimental = true
* #self "The survivor"
* #representative-not-abuser "A representative who is not the abuser"

CodeSystem: ReleaseTierCS
Id: release-tier
Title: "How much may be told back"
Description: "Each tier includes the one before."
* ^caseSensitive = true
* ^content = #complete
* ^experimental = true
* #none "Nothing" "The default."
* #contact "Accepted, declined, cancelled, in progress, on hold, contact made"
* #appointment "And that a meeting is set or called off"
* #outcome "And how it ended"

CodeSystem: EducationOutcomeCS
Id: education-outcome
Title: "What became of the cards"
Description: "A count of the clinic, never of a person: no resource carries it."
* ^caseSensitive = true
* ^content = #complete
* ^experimental = true
* #offered "Offered, not taken"
* #taken "They took the cards"
* #not-safe-to-carry "Not safe to carry"
* #shown-only "Only looked at together"

CodeSystem: CardCatalogCS
Id: card-catalog
Title: "Cards"
Description: "The two cards given to everybody, one for them and one for a friend, in each language they are printed in."
* ^caseSensitive = true
* ^content = #complete
* ^experimental = true
* #for-you-en "A card for you, English"
* #for-a-friend-en "A card for a friend, English"
* #for-you-es "A card for you, Spanish"
* #for-a-friend-es "A card for a friend, Spanish"
