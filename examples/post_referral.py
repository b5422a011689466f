"""Refer somebody to the clinic as a program's own system would: token, POST, poll. Needs requests and joserfc only."""

import argparse
import json
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from string import Template
from urllib.parse import urljoin

import requests
from joserfc import jwk, jwt

FIXED = {"b": "https://warm-referral.example/fhir", "t": "http://terminology.hl7.org/CodeSystem", "name": "Robin"}
FIXED |= {"clinic": "Organization/hc1", "phone": "555-0142", "category": "sdoh-category-unspecified"}
FIXED |= {"sct": "http://snomed.info/sct", "loinc": "http://loinc.org"}
FIXED["g"] = "http://hl7.org/fhir/us/sdoh-clinicalcare/CodeSystem/SDOHCC-CodeSystemTemporaryCodes"
SCOPES = "system/Patient.c system/Consent.c system/ServiceRequest.cr system/Task.crus"
# Everything a clinic may be told: a name to use, a safe number until a date, and the survivor's own signed release.
REFERRAL = Template("""{"resourceType": "Bundle", "type": "transaction",
 "identifier": {"system": "$b/id/bundle", "value": "$n"}, "entry": [
 {"fullUrl": "$patient", "request": {"method": "POST", "url": "Patient"}, "resource":
  {"resourceType": "Patient", "identifier": [{"system": "$b/id/patient", "value": "$patient"}],
   "name": [{"use": "anonymous", "given": ["$name"]}], "gender": "unknown"}},
 {"fullUrl": "$consent", "request": {"method": "POST", "url": "Consent"}, "resource":
  {"resourceType": "Consent", "status": "active",
   "extension": [{"url": "$b/StructureDefinition/release-signer", "valueCode": "self"}],
   "scope": {"coding": [{"system": "$t/consentscope", "code": "patient-privacy"}]}, "category": [
    {"coding": [{"system": "$t/v3-ActCode", "code": "IDSCL"}]}, {"coding": [{"system": "$loinc", "code": "59284-0"}]}],
   "patient": {"reference": "$patient"}, "performer": [{"reference": "$patient"}], "dateTime": "$today",
   "organization": [{"reference": "$us"}], "policy": [{"uri": "$b/policy/release-in"}],
   "sourceReference": {"type": "DocumentReference", "identifier": {"system": "$b/id/release", "value": "$consent"}},
   "provision": {"type": "permit", "period": {"start": "$today", "end": "$later"},
    "actor": [{"reference": {"reference": "$clinic"},
     "role": {"coding": [{"system": "$t/v3-ParticipationType", "code": "IRCP"}]}}],
    "securityLabel": [{"system": "$t/v3-Confidentiality", "code": "V"}, {"system": "$t/v3-ActCode", "code": "SDV"}],
    "purpose": [{"system": "$t/v3-ActReason", "code": "COC"}], "data": [{"meaning": "instance", "reference":
     {"reference": "$request"}}, {"meaning": "instance", "reference": {"reference": "$task"}}]}}},
 {"fullUrl": "$request", "request": {"method": "POST", "url": "ServiceRequest"}, "resource":
  {"resourceType": "ServiceRequest", "extension": [{"url": "$b/StructureDefinition/safe-contact", "extension":
    [{"url": "meet", "valueCode": "safe-contact"},
     {"url": "telecom", "valueContactPoint": {"system": "phone", "value": "$phone"}},
     {"url": "askedOn", "valueDate": "$today"}, {"url": "expiresOn", "valueDate": "$later"}]}],
   "status": "active", "intent": "order", "code": {"coding": [{"system": "$sct", "code": "308440001"}]}, "category": [
    {"coding": [{"system": "$sct", "code": "410606002"}]}, {"coding": [{"system": "$g", "code": "$category"}]}],
   "subject": {"reference": "$patient"}, "authoredOn": "$today", "requester": {"reference": "$us"},
   "performer": [{"reference": "$clinic"}], "supportingInfo": [{"reference": "$consent"}]}},
 {"fullUrl": "$task", "request": {"method": "POST", "url": "Task"}, "resource":
  {"resourceType": "Task", "identifier": [{"system": "$b/id/task", "value": "$task"}], "status": "requested",
   "intent": "order", "code": {"coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "fulfill"}]},
   "focus": {"reference": "$request"}, "for": {"reference": "$patient"}, "authoredOn": "$today", "requester":
    {"reference": "$us"}, "owner": {"reference": "$clinic"}, "restriction": {"period": {"end": "$later"}}}}]}""")

ask = argparse.ArgumentParser(description=__doc__)
for option in ("--fhir-base", "--program", "--client-id", "--key-file"):
    ask.add_argument(option, required=True)
given = ask.parse_args()

# A token for five minutes: an assertion signed with your key, new each time (SMART Backend Services).
token_url = requests.get(f"{given.fhir_base}/.well-known/smart-configuration", timeout=20).json()["token_endpoint"]
key = jwk.import_key(json.loads(Path(given.key_file).read_text())[given.program])
claims = {"iss": given.client_id, "sub": given.client_id, "aud": token_url, "exp": int(time.time()) + 240}
claims["jti"] = str(uuid.uuid4())
signed = jwt.encode({"alg": "ES384", "kid": key.kid, "typ": "JWT"}, claims, key, algorithms=["ES384"])
form = {"grant_type": "client_credentials", "scope": SCOPES, "client_assertion": signed}
form["client_assertion_type"] = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
token = requests.post(token_url, data=form, timeout=20).json()["access_token"]
headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/fhir+json"}

values = {name: f"urn:uuid:{uuid.uuid4()}" for name in ("n", "patient", "consent", "request", "task")}
values |= {"today": f"{datetime.now(UTC):%F}", "later": f"{datetime.now(UTC) + timedelta(days=14):%F}"}
body = REFERRAL.substitute(values, us=f"Organization/{given.program}", **FIXED)
answer = requests.post(given.fhir_base, data=body, headers=headers, timeout=20)
print(answer.status_code, answer.headers.get("Location"), answer.text)
answer.raise_for_status()
for _ in range(3):  # once a business day is enough; the demo does not mind
    task = requests.get(urljoin(given.fhir_base, answer.headers["Location"]), headers=headers, timeout=20).json()
    print("The clinic says:", task["status"], task.get("businessStatus", {}), task.get("output", []))
    time.sleep(2)
