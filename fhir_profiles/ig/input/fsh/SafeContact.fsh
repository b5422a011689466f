Extension: SafeContact
Id: safe-contact
Title: "Safe contact"
Description: """How the survivor and the program will meet, and the one safe way to reach the survivor.

There is no parent elsewhere: Gravity SDOH Clinical Care says only that contact is prohibited
(`contacting-subject-prohibited` in `ServiceRequest.orderDetail`), which is set whenever no phone number is given here.
A phone number is present exactly when they meet by safe contact. It is asked for each time, is never copied from
`Patient.telecom`, and ends on its date, 30 days after asking at the latest. `voicemail` absent means none; `whoMayAnswer`
absent means the survivor only."""
* ^context.type = #element
* ^context.expression = "ServiceRequest"
* . ^short = "How the two will meet"
* id 0..0
* obeys wsc-1 and wsc-2 and wsc-3 and wsc-4
* extension contains
    meet 1..1 and
    telecom 0..1 and
    voicemail 0..1 and
    whoMayAnswer 0..1 and
    at 0..1 and
    day 0..7 and
    from 0..1 and
    to 0..1 and
    sayAs 0..1 and
    codeWord 0..1 and
    language 0..1 and
    interpreter 0..1 and
    askedOn 1..1 and
    expiresOn 1..1
* extension ^slicing.rules = #closed
* extension[meet] ^short = "on-site, call-now, clinic-phone, safe-contact or survivor-calls"
* extension[meet].value[x] only code
* extension[meet].value[x] 1..1
* insert Bare(extension[meet].valueCode)
* extension[meet].valueCode from SafeContactMeetVS (required)
* extension[telecom] ^short = "The safe number, only when they meet by safe contact"
* extension[telecom].value[x] only ContactPoint
* extension[telecom].value[x] 1..1
* insert PublicPhone(extension[telecom].valueContactPoint)
* extension[voicemail] ^short = "none, silent or safe; absent is none"
* extension[voicemail].value[x] only code
* extension[voicemail].value[x] 1..1
* insert Bare(extension[voicemail].valueCode)
* extension[voicemail].valueCode from SafeContactVoicemailVS (required)
* extension[whoMayAnswer] ^short = "self or anyone; absent is self"
* extension[whoMayAnswer].value[x] only code
* extension[whoMayAnswer].value[x] 1..1
* insert Bare(extension[whoMayAnswer].valueCode)
* extension[whoMayAnswer].valueCode from SafeContactAnswererVS (required)
* extension[at] ^short = "When the two will meet"
* extension[at].value[x] only dateTime
* extension[at].value[x] 1..1
* insert Bare(extension[at].valueDateTime)
* extension[day] ^short = "A day on which calling is safe"
* extension[day].value[x] only code
* extension[day].value[x] 1..1
* insert Bare(extension[day].valueCode)
* extension[day].valueCode from SafeContactDayVS (required)
* extension[from] ^short = "Calling is safe from, local time"
* extension[from].value[x] only time
* extension[from].value[x] 1..1
* insert Bare(extension[from].valueTime)
* extension[to] ^short = "Calling is safe until, local time"
* extension[to].value[x] only time
* extension[to].value[x] 1..1
* insert Bare(extension[to].valueTime)
* extension[sayAs] ^short = "Who the caller says they are"
* extension[sayAs].value[x] only string
* extension[sayAs].value[x] 1..1
* insert Bare(extension[sayAs].valueString)
* extension[sayAs].valueString ^maxLength = 60
* extension[codeWord] ^short = "The word by which the two know each other"
* extension[codeWord].value[x] only string
* extension[codeWord].value[x] 1..1
* insert Bare(extension[codeWord].valueString)
* extension[codeWord].valueString ^maxLength = 40
* extension[language] ^short = "The language to speak"
* extension[language].value[x] only code
* extension[language].value[x] 1..1
* insert Bare(extension[language].valueCode)
* extension[interpreter] ^short = "An interpreter is needed"
* extension[interpreter].value[x] only boolean
* extension[interpreter].value[x] 1..1
* insert Bare(extension[interpreter].valueBoolean)
* extension[askedOn] ^short = "The day it was asked for"
* extension[askedOn].value[x] only date
* extension[askedOn].value[x] 1..1
* insert Bare(extension[askedOn].valueDate)
* extension[askedOn].valueDate obeys wrx-1
* extension[expiresOn] ^short = "The day it ends, at most 30 days later"
* extension[expiresOn].value[x] only date
* extension[expiresOn].value[x] 1..1
* insert Bare(extension[expiresOn].valueDate)
* extension[expiresOn].valueDate obeys wrx-1

Invariant: wsc-1
Description: "A phone number is given exactly when they meet by safe contact."
Severity: #error
Expression: "extension.where(url = 'telecom').exists() = (extension.where(url = 'meet').value = 'safe-contact')"

Invariant: wsc-2
Description: "Voicemail and who may answer belong to a phone number."
Severity: #error
Expression: "extension.where(url = 'telecom').exists() or extension.where(url = 'voicemail' or url = 'whoMayAnswer').empty()"

Invariant: wsc-3
Description: "Hours have a beginning before their end."
Severity: #error
Expression: "extension.where(url = 'from').exists() = extension.where(url = 'to').exists() and (extension.where(url = 'from').empty() or extension.where(url = 'from').value < extension.where(url = 'to').value)"

Invariant: wsc-4
Description: "A safe contact ends within 30 days of the day it was asked for."
Severity: #error
Expression: "iif(extension.where(url = 'expiresOn').value < extension.where(url = 'askedOn').value or extension.where(url = 'expiresOn').value > extension.where(url = 'askedOn').value + 30 days, false, true)"
