// Drafts: no search is served yet. A search over labelled data is a leak path, so each waits for its own test.

Instance: appointment-requested-period
InstanceOf: SearchParameter
Usage: #definition
Title: "Visits by the period asked for (draft, not served)"
* url = "https://warm-referral.example/fhir/SearchParameter/appointment-requested-period"
* name = "AppointmentRequestedPeriod"
* status = #draft
* experimental = true
* date = "2026-11-24"
* description = "Draft, not served. Proposed visits by the period asked for: R4 has no search parameter for requestedPeriod."
* code = #requested-period
* base = #Appointment
* type = #date
* expression = "Appointment.requestedPeriod"
* xpathUsage = #normal
* xpath = "f:Appointment/f:requestedPeriod"

Instance: task-due
InstanceOf: SearchParameter
Usage: #definition
Title: "Referral tasks by deadline (draft, not served)"
* url = "https://warm-referral.example/fhir/SearchParameter/task-due"
* name = "TaskDue"
* status = #draft
* experimental = true
* date = "2026-11-24"
* description = "Draft, not served. A program's own tasks by the time until when it should have acted."
* code = #due
* base = #Task
* type = #date
* expression = "Task.restriction.period"
* xpathUsage = #normal
* xpath = "f:Task/f:restriction/f:period"
