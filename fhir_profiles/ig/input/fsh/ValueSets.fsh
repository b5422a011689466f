// Value sets for required bindings. Each lists its codes one by one, so that no terminology server is needed.

ValueSet: DisclosureKindVS
Id: disclosure-kind
Title: "Kind of disclosure"
Description: "What a disclosure may say; none is ever required."
* ^experimental = true
* DisclosureKindCS#violence-disclosed
* $SCT#706893006
* DisclosureKindCS#sexual-violence
* DisclosureKindCS#stalking
* DisclosureKindCS#trafficking
* DisclosureKindCS#elder-abuse

ValueSet: DisclosureCategoryVS
Id: disclosure-category
Title: "Gravity category of a disclosure"
Description: "It follows the kind."
* ^experimental = true
* $T#sdoh-category-unspecified
* $T#intimate-partner-violence
* $T#elder-abuse

ValueSet: DisclosureStatusVS
Id: disclosure-status
Title: "Status of a disclosure"
Description: "A disclosure is final, corrected or entered in error."
* ^experimental = true
* $observation-status#final
* $observation-status#corrected
* $observation-status#entered-in-error

ValueSet: LawBasisVS
Id: law-basis
Title: "Law behind a label"
Description: "VAWA, FVPSA, VOCA."
* ^experimental = true
* LawBasisCS#VAWA
* LawBasisCS#FVPSA
* LawBasisCS#VOCA

ValueSet: ReferralRequestStatusVS
Id: referral-request-status
Title: "Status of a referral request"
Description: "R4 without draft and unknown."
* ^experimental = true
* $request-status#active
* $request-status#on-hold
* $request-status#completed
* $request-status#revoked
* $request-status#entered-in-error

ValueSet: ReferralNeedVS
Id: referral-need
Title: "Need"
Description: "Needs a person may tick."
* ^experimental = true
* ReferralNeedCS#housing
* ReferralNeedCS#legal
* ReferralNeedCS#food
* ReferralNeedCS#enrollment
* ReferralNeedCS#transport
* ReferralNeedCS#counseling
* ReferralNeedCS#medical-visit

ValueSet: ReferralOrderDetailVS
Id: referral-order-detail
Title: "Order detail"
Description: "The ticked needs, and Gravity's ban on contact when no safe number is given."
* ^experimental = true
* $T#contacting-subject-prohibited
* ReferralNeedCS#housing
* ReferralNeedCS#legal
* ReferralNeedCS#food
* ReferralNeedCS#enrollment
* ReferralNeedCS#transport
* ReferralNeedCS#counseling
* ReferralNeedCS#medical-visit

ValueSet: ReferralTaskStatusVS
Id: referral-task-status
Title: "Status of a referral task"
Description: "R4 less ready and received, as in Gravity."
* ^experimental = true
* $task-status#draft
* $task-status#requested
* $task-status#accepted
* $task-status#rejected
* $task-status#in-progress
* $task-status#on-hold
* $task-status#completed
* $task-status#cancelled
* $task-status#failed
* $task-status#entered-in-error

ValueSet: ReferralReasonVS
Id: referral-reason
Title: "Reason of a refused or closed referral"
Description: "Ours only."
* ^experimental = true
* ReferralReasonCS#no-capacity
* ReferralReasonCS#outside-area
* ReferralReasonCS#language
* ReferralReasonCS#service-not-offered
* ReferralReasonCS#unable
* ReferralReasonCS#closed

ValueSet: ReferralBusinessStatusVS
Id: referral-business-status
Title: "Business status of a referral"
Description: "Ours, and those of BSeR 2.0.0-ballot that we take."
* ^experimental = true
* ReferralStatusCS#received-by-inbox
* ReferralStatusCS#opened-by-person
* ReferralStatusCS#contact-made
* ReferralStatusCS#handoff-made
* ReferralStatusCS#patient-reports-connected
* ReferralStatusCS#no-information
* $BSER#5.1.1
* $BSER#5.1.2
* $BSER#5.1.3
* $BSER#5.1.4
* $BSER#5.2

ValueSet: ReferralIdentifierTypeVS
Id: referral-identifier-type
Title: "Whose number"
Description: "The placer's and the filler's number, as BSeR types them."
* ^experimental = true
* $idtype#PLAC
* $idtype#FILL

ValueSet: ReleaseStatusVS
Id: release-status
Title: "Status of a release"
Description: "In force or not."
* ^experimental = true
* $consent-status#active
* $consent-status#inactive
* $consent-status#entered-in-error

ValueSet: ReleaseSignerVS
Id: release-signer
Title: "Who signed a release"
Description: "Never the abuser."
* ^experimental = true
* ReleaseSignerCS#self
* ReleaseSignerCS#representative-not-abuser

ValueSet: ReleaseTierVS
Id: release-tier
Title: "How much may be told back"
Description: "none, contact, appointment, outcome."
* ^experimental = true
* ReleaseTierCS#none
* ReleaseTierCS#contact
* ReleaseTierCS#appointment
* ReleaseTierCS#outcome

ValueSet: ReleaseLabelVS
Id: release-label
Title: "What a release opens"
Description: "A level and sensitivities; a release names them one by one."
* ^experimental = true
* $C#U
* $C#L
* $C#M
* $C#N
* $C#R
* $C#V
* $A#SDV
* $A#SEX
* $A#VIO
* $A#MST
* $A#ADOL

ValueSet: ReleasePurposeVS
Id: release-purpose
Title: "Purpose of a release"
Description: "Coordination of care, or treatment."
* ^experimental = true
* $R#COC
* $R#TREAT

ValueSet: SafeContactMeetVS
Id: safe-contact-meet
Title: "How the two will meet"
Description: "One is always chosen."
* ^experimental = true
* SafeContactMeetCS#on-site
* SafeContactMeetCS#call-now
* SafeContactMeetCS#clinic-phone
* SafeContactMeetCS#safe-contact
* SafeContactMeetCS#survivor-calls

ValueSet: SafeContactVoicemailVS
Id: safe-contact-voicemail
Title: "Voicemail"
Description: "none, silent, safe."
* ^experimental = true
* SafeContactVoicemailCS#none
* SafeContactVoicemailCS#silent
* SafeContactVoicemailCS#safe

ValueSet: SafeContactAnswererVS
Id: safe-contact-answerer
Title: "Who may answer"
Description: "self, anyone."
* ^experimental = true
* SafeContactAnswererCS#self
* SafeContactAnswererCS#anyone

ValueSet: SafeContactDayVS
Id: safe-contact-day
Title: "Day on which calling is safe"
Description: "The days of the week."
* ^experimental = true
* $days#mon
* $days#tue
* $days#wed
* $days#thu
* $days#fri
* $days#sat
* $days#sun

ValueSet: VisitStatusVS
Id: visit-status
Title: "Status of a visit"
Description: "Proposed, then booked or cancelled."
* ^experimental = true
* $appointment-status#proposed
* $appointment-status#booked
* $appointment-status#cancelled
* $appointment-status#fulfilled
* $appointment-status#entered-in-error

ValueSet: VisitCopyStatusVS
Id: visit-copy-status
Title: "Status of a visit in an EHR"
Description: "A copy is never a proposal."
* ^experimental = true
* $appointment-status#booked
* $appointment-status#cancelled
* $appointment-status#entered-in-error

ValueSet: VisitCancelReasonVS
Id: visit-cancel-reason
Title: "Reason of a cancelled visit"
Description: "Neutral ones only."
* ^experimental = true
* $cancel#prov
* $cancel#other

ValueSet: VisitParticipantStatusVS
Id: visit-participant-status
Title: "Answer of a participant"
Description: "R4's own."
* ^experimental = true
* $participation-status#needs-action
* $participation-status#accepted
* $participation-status#declined
* $participation-status#tentative

ValueSet: CapacityVS
Id: capacity
Title: "Room at a program"
Description: "Room or none; a fact of the program."
* ^experimental = true
* $T#capacity
* $T#no-capacity

ValueSet: ServiceCategoryVS
Id: service-category
Title: "Category of a program's service"
Description: "sdoh, and a kind."
* ^experimental = true
* $UC#sdoh
* $T#intimate-partner-violence
* $T#elder-abuse
* $T#sdoh-category-unspecified

ValueSet: AccessTypeVS
Id: access-type
Title: "Kind of audit event"
Description: "An access, a decision, or an exchange with a partner: sent or received."
* ^experimental = true
* $audit-type#rest
* $DCM#110113
* $DCM#110106
* $DCM#110107

ValueSet: AccessInteractionVS
Id: access-interaction
Title: "Interaction"
Description: "What was asked of the vault, by what a decision was made, or that something was disclosed."
* ^experimental = true
* $restful#read
* $restful#search
* $restful#create
* $restful#update
* $restful#delete
* $authz#AuthZ-Consent
* $authz#AuthZ-Role
* $lifecycle#disclose

ValueSet: AccessNetworkVS
Id: access-network
Title: "Kind of address"
Description: "An IP address, or the address of a partner's system."
* ^experimental = true
* $network#2
* $network#5

ValueSet: AccessActionVS
Id: access-action
Title: "Action"
Description: "The letter that fits the interaction."
* ^experimental = true
* $audit-action#C
* $audit-action#R
* $audit-action#U
* $audit-action#D
* $audit-action#E

ValueSet: AccessOutcomeVS
Id: access-outcome
Title: "Outcome of a decision"
Description: "Permitted (0) or denied (8)."
* ^experimental = true
* $audit-outcome#0
* $audit-outcome#8

ValueSet: LabelChangeVS
Id: label-change
Title: "Kind of label change"
Description: "LABEL and one of the kinds."
* ^experimental = true
* $A#LABEL
* $A#UPGRDLABEL
* $A#DOWNGRDLABEL
* $A#DRIVLABEL
* $A#DECLASSIFYLABEL

ValueSet: LabelAgentVS
Id: label-agent
Title: "Role of who changed a label"
Description: "It fits the kind of change."
* ^experimental = true
* $RC#CLASSIFIER
* $RC#DOWNGRDER
* $RC#DECLASSIFIER

ValueSet: LabelSourceRoleVS
Id: label-source-role
Title: "What a label change came from"
Description: "The version before, or the release that caused it."
* ^experimental = true
* $provenance-role#revision
* $provenance-role#source

ValueSet: EducationOutcomeVS
Id: education-outcome
Title: "What became of the cards"
Description: "Four taps."
* ^experimental = true
* EducationOutcomeCS#offered
* EducationOutcomeCS#taken
* EducationOutcomeCS#not-safe-to-carry
* EducationOutcomeCS#shown-only

ValueSet: CardCatalogVS
Id: card-catalog
Title: "Cards"
Description: "All cards in all languages."
* ^experimental = true
* CardCatalogCS#for-you-en
* CardCatalogCS#for-a-friend-en
* CardCatalogCS#for-you-es
* CardCatalogCS#for-a-friend-es

ValueSet: KnownLabelVS
Id: known-label
Title: "Security labels that are understood"
Description: "The closed set. Any other label, or none, is enforced as very restricted (V) and sensitive (SDV); it is kept as received. NOPAT is honoured when received and never a default."
* ^experimental = true
* $C#U
* $C#L
* $C#M
* $C#N
* $C#R
* $C#V
* $A#SDV
* $A#SEX
* $A#VIO
* $A#MST
* $A#ADOL
* $A#NORDSCLCD
* $A#NOREUSE
* $A#PERSISTLABEL
* $A#LOCIS
* $A#CPLYCD
* $A#NORELINK
* $A#NOPAT
* $R#TREAT
* $R#COC
* $R#HPRGRP
* $R#HTEST
* $O#PATRPT
* $O#CLINAST
* $O#AGGRED
* $O#ANONYED
* $O#REDACTED
