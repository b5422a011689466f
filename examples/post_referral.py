"""Refer somebody to the clinic as a program's own system would: token, POST, poll. Needs requests and joserfc only."""

import argparse
import json
import time
import uuid
from datetime import date, timedelta
from pathlib import Path
from string import Template

import requests
from joserfc import jwt
from joserfc.jwk import import_key

FIXED = {"b": "https://warm-referral.example/fhir", "t": "http://terminology.hl7.org/CodeSystem", "name": "Robin"}
FIXED |= {"us": "Organization/harbor", "clinic": "Organization/hc1", "phone": "555-0142"}
FIXED["gravity"] = "http://hl7.org/fhir/us/sdoh-clinicalcare/CodeSystem/SDOHCC-CodeSystemTemporaryCodes"
SCOPES = "system/Patient.c system/Consent.c system/ServiceRequest.cr system/Task.crus"
# Everything a clinic may be told: a name to use, a safe number until a date, and the survivor's own signed release.
REFERRAL = Template("""{"resourceType": "Bundle", "type": "transaction",
 "identifier": {"system": "$b/id/bundle", "value": "$n"}, "entry": [
 {"fullUrl": "urn:uuid:$patient", "request": {"method": "POST", "url": "Patient"}, "resource":
  {"resourceType": "Patient", "identifier": [{"system": "$b/id/patient", "value": "$patient"}],
   "name": [{"use": "anonymous", "given": ["$name"]}], "gender": "unknown"}},
 {"fullUrl": "urn:uuid:$consent", "request": {"method": "POST", "url": "Consent"}, "resource":
  {"resourceType": "Consent", "extension":
    [{"url": "$b/StructureDefinition/release-signer", "valueCode": "self"}], "status": "active",
   "scope": {"coding": [{"system": "$t/consentscope", "code": "patient-privacy"}]}, "category":
    [{"coding": [{"system": "$t/v3-ActCode", "code": "IDSCL"}]},
     {"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
   "patient": {"reference": "urn:uuid:$patient"}, "performer": [{"reference": "urn:uuid:$patient"}],
   "dateTime": "$today", "organization": [{"reference": "$us"}], "policy": [{"uri": "$b/policy/release-in"}],
   "sourceReference": {"type": "DocumentReference", "identifier": {"system": "$b/id/release", "value": "$consent"}},
   "provision": {"type": "permit", "period": {"start": "$today", "end": "$later"},
    "actor": [{"role": {"coding": [{"system": "$t/v3-ParticipationType", "code": "IRCP"}]},
     "reference": {"reference": "$clinic"}}],
    "securityLabel": [{"system": "$t/v3-Confidentiality", "code": "V"}, {"system": "$t/v3-ActCode", "code": "SDV"}],
    "purpose": [{"system": "$t/v3-ActReason", "code": "COC"}],
    "data": [{"meaning": "instance", "reference": {"reference": "urn:uuid:$request"}},
     {"meaning": "instance", "reference": {"reference": "urn:uuid:$task"}}]}}},
 {"fullUrl": "urn:uuid:$request", "request": {"method": "POST", "url": "ServiceRequest"}, "resource":
  {"resourceType": "ServiceRequest", "extension": [{"url": "$b/StructureDefinition/safe-contact", "extension":
    [{"url": "meet", "valueCode": "safe-contact"},
     {"url": "telecom", "valueContactPoint": {"system": "phone", "value": "$phone"}},
     {"url": "askedOn", "valueDate": "$today"}, {"url": "expiresOn", "valueDate": "$later"}]}],
   "status": "active", "intent": "order",
   "category": [{"coding": [{"system": "http://snomed.info/sct", "code": "410606002"}]},
    {"coding": [{"system": "$gravity", "code": "sdoh-category-unspecified"}]}],
   "code": {"coding": [{"system": "http://snomed.info/sct", "code": "308440001"}]},
   "subject": {"reference": "urn:uuid:$patient"}, "authoredOn": "$today", "requester": {"reference": "$us"},
   "performer": [{"reference": "$clinic"}], "supportingInfo": [{"reference": "urn:uuid:$consent"}]}},
 {"fullUrl": "urn:uuid:$task", "request": {"method": "POST", "url": "Task"}, "resource":
  {"resourceType": "Task", "identifier": [{"system": "$b/id/task", "value": "$task"}], "status": "requested",
   "intent": "order", "code": {"coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "fulfill"}]},
   "focus": {"reference": "urn:uuid:$request"}, "for": {"reference": "urn:uuid:$patient"}, "authoredOn": "$today",
   "requester": {"reference": "$us"}, "owner": {"reference": "$clinic"},
   "restriction": {"period": {"end": "$later"}}}}]}""")

ask = argparse.ArgumentParser(description="Post one referral to a clinic and watch its Task.")
for option, usual in (("base-url", "http://127.0.0.1:8000"), ("client-id", "harbor-system"), ("key-file", None)):
    ask.add_argument(f"--{option}", default=usual, required=usual is None)
given = ask.parse_args()
fhir = f"{given.base_url}/fhir"

# A token for five minutes: an assertion signed with your key, new each time (SMART Backend Services).
token_url = requests.get(f"{fhir}/.well-known/smart-configuration", timeout=20).json()["token_endpoint"]
key = import_key(next(k for k in json.loads(Path(given.key_file).read_text())["keys"] if k["alg"] == "ES384"))
claims = {"iss": given.client_id, "sub": given.client_id, "aud": token_url, "jti": str(uuid.uuid4())}
claims["exp"] = int(time.time()) + 240
signed = jwt.encode({"alg": "ES384", "kid": key.kid, "typ": "JWT"}, claims, key, algorithms=["ES384"])
form = {"grant_type": "client_credentials", "scope": SCOPES, "client_assertion": signed}
form["client_assertion_type"] = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
token = requests.post(token_url, data=form, timeout=20).json()["access_token"]
headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/fhir+json"}

values = {name: str(uuid.uuid4()) for name in ("n", "patient", "consent", "request", "task")}
values |= {"today": date.today().isoformat(), "later": (date.today() + timedelta(days=14)).isoformat()}
body = REFERRAL.substitute(values, **FIXED)
answer = requests.post(fhir, data=body, headers=headers, timeout=20)
print(answer.status_code, answer.headers.get("Location"), answer.text)
for _ in range(3):  # once a business day is enough; the demo does not mind
    task = requests.get(given.base_url + answer.headers["Location"], headers=headers, timeout=20).json()
    print("The clinic says:", task["status"], [output["valueReference"] for output in task.get("output", [])])
    time.sleep(2)
