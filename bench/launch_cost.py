"""What a launch costs us, beside a plain Flask and Authlib app, and whether fifty at once lose one.

    make bench                          # or: .venv/bin/python bench/launch_cost.py --launches 300

Starts a demo in a new folder on free ports. Two measurements against its sandbox EHR, a process of its own:

* CPU: the whole app in this process, without a socket. One launch is /launch, /callback and the first page; what this
  process computes during those three requests counts, what the EHR does and the way through it do not. The plain app
  does the same with Flask, Authlib and requests and nothing else: PKCE, state, a signed assertion, the id_token, one
  Patient read, one small page; no database, no audit, no sealing, no page of ours.
* Fifty at once: fifty browsers begin together against the served app (gunicorn), and go through the EHR to the first
  page.

Prints one JSON object; exit code 1 when a limit is missed. The name of this file is not launch.py: a script's folder
comes first in the search for modules, and the package of that name would not be found.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import secrets
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from flask import Flask, redirect, request, session
from flask.testing import FlaskClient
from joserfc import jwt
from joserfc.jwk import KeySet

from launch.client_authentication import signed_assertion
from launch.keys import KeyRing
from smart_app import logs
from smart_app.app import create_app
from smart_app.demo import Place, Ports
from smart_app.settings import load
from smart_app.tour.sandboxes import SandboxEhr

AT_ONCE = 50
P50_LIMIT_MS, P99_LIMIT_MS = 15.0, 40.0
PEOPLE = ("p-dana", "p-luz", "p-rosa", "p-marcus", "p-tess", "p-walter")
BASELINE_SCOPE = "launch openid fhirUser online_access patient/Patient.rs patient/Encounter.rs user/Practitioner.rs"


# --- the way through the EHR -----------------------------------------------------------------------------------------


class _Form(HTMLParser):
    """The form of a page that carries an authorization request."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.action, self.members = "", dict[str, str]()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = {name: value or "" for name, value in attrs}
        if tag == "form" and told.get("action", "").startswith("http"):
            self.action = told["action"]
        elif tag == "input" and told.get("type") == "hidden" and self.action:
            self.members[told["name"]] = told.get("value", "")


def through_the_ehr(status: int, location: str | None, page: str) -> str:
    """Where the EHR sends the browser after what /launch answered: by address, or as a form."""
    if status in (302, 303):
        answer = requests.get(str(location), allow_redirects=False, timeout=30)
    else:
        form = _Form(page)
        answer = requests.post(form.action, data=form.members, allow_redirects=False, timeout=30)
    if answer.status_code not in (302, 303):
        sys.exit(f"the EHR answered {answer.status_code} to an authorization request")
    return answer.headers["Location"]


def path_and_query(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"


# --- CPU -------------------------------------------------------------------------------------------------------------


class Meter:
    """Counts what this process computes inside an app, from the request's arrival to the last byte of its answer."""

    def __init__(self, app: Flask) -> None:
        self.spent_ms = 0.0
        self._inner = app.wsgi_app
        app.wsgi_app = self  # type: ignore[method-assign]

    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        started = time.process_time()
        answer = self._inner(environ, start_response)
        body = b"".join(answer)
        if hasattr(answer, "close"):
            answer.close()
        self.spent_ms = (time.process_time() - started) * 1000
        return [body]


def launch_once(client: FlaskClient, meter: Meter, launch_url: str) -> dict[str, float]:
    """One launch; milliseconds of CPU for each of its three requests."""
    spent = {}

    def timed(name: str, path: str) -> Any:
        answer = client.get(path)
        spent[name] = meter.spent_ms
        return answer, answer.get_data(as_text=True)

    answer, page = timed("launch", path_and_query(launch_url))
    callback = through_the_ehr(answer.status_code, answer.headers.get("Location"), page)
    answer, page = timed("callback", path_and_query(callback))
    if answer.status_code not in (302, 303):
        sys.exit(f"{client.application.name}: /callback answered {answer.status_code}")
    answer, page = timed("first_page", answer.headers["Location"])
    if answer.status_code != 200 or len(page) < 20:
        sys.exit(f"{client.application.name}: the first page answered {answer.status_code}")
    return spent


def cpu(app: Flask, launch_url: Callable[[int], str], launches: int) -> dict[str, Any]:
    """Percentiles over ``launches``, each with a browser of its own, after ten that do not count."""
    meter = Meter(app)
    with suppress(AttributeError, OSError):  # one core, so that no time is spent on moving between two; Linux only
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    runs = [launch_once(app.test_client(), meter, launch_url(number)) for number in range(launches + 10)][10:]
    totals = sorted(sum(run.values()) for run in runs)
    return {
        "p50_ms": round(statistics.median(totals), 2),
        "p99_ms": round(totals[min(len(totals) - 1, int(len(totals) * 0.99))], 2),
        "of_which_p50_ms": {name: round(statistics.median(run[name] for run in runs), 2) for name in runs[0]},
        "launches": len(totals),
    }


class _Assertion(PrivateKeyJWT):  # type: ignore[misc]
    """Authlib's, with the lifetime and header that SMART asks for: as shipped no SMART server takes it."""

    def sign(self, auth: Any, token_endpoint: str) -> str:
        return signed_assertion(auth.client_secret, auth.client_id, token_endpoint)


def plain_app(place: Place, keys: KeyRing) -> Flask:
    """As little as a SMART launch can be made of with Flask, Authlib and requests."""
    app = Flask("plain")
    app.secret_key = secrets.token_bytes(32)
    issuer = f"{place.ehr_url}/b/fhir"
    told = requests.get(f"{issuer}/.well-known/smart-configuration", timeout=20).json()
    keyset = KeySet.import_key_set(requests.get(told["jwks_uri"], timeout=20).json())

    def client() -> Any:
        made = OAuth2Session(
            "care-connections",
            keys.signing_key("ES384"),
            token_endpoint_auth_method="private_key_jwt",
            scope=BASELINE_SCOPE,
            redirect_uri=f"{place.app_url}/callback",
            code_challenge_method="S256",
        )
        made.register_client_auth_method(_Assertion(told["token_endpoint"]))
        return made

    @app.get("/launch")
    def launch() -> Any:
        session["state"], session["nonce"] = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        session["verifier"] = secrets.token_urlsafe(64)
        url, _ = client().create_authorization_url(
            told["authorization_endpoint"],
            state=session["state"],
            code_verifier=session["verifier"],
            nonce=session["nonce"],
            aud=request.args["iss"],
            launch=request.args["launch"],
        )
        return redirect(url, 303)

    @app.get("/callback")
    def callback() -> Any:
        if request.args["state"] != session["state"]:
            return "state", 400
        token = client().fetch_token(
            told["token_endpoint"],
            grant_type="authorization_code",
            code=request.args["code"],
            code_verifier=session["verifier"],
        )
        claims = jwt.decode(token["id_token"], keyset, algorithms=["RS256", "ES384"]).claims
        if claims["nonce"] != session["nonce"] or claims["aud"] != "care-connections":
            return "identity", 403
        session["token"], session["patient"] = token["access_token"], token["patient"]
        return redirect("/page", 303)

    @app.get("/page")
    def page() -> str:
        headers = {"Authorization": f"Bearer {session['token']}"}
        patient = requests.get(f"{issuer}/Patient/{session['patient']}", headers=headers, timeout=20).json()
        return f"<!doctype html><title>App</title><h1>{patient['name'][0]['family']}</h1>"

    return app


# --- fifty at once ---------------------------------------------------------------------------------------------------


def browse(launch_url: str, origin: str, together: threading.Barrier) -> float | str:
    """One browser from the launch to the first page; seconds it took, or where it was lost."""
    cookies: dict[str, str] = {}

    def get(address: str) -> requests.Response:
        # The cookie is Secure, which browsers keep on loopback http too and requests does not.
        sent = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())} if cookies else {}
        answer = requests.get(origin + path_and_query(address), headers=sent, allow_redirects=False, timeout=60)
        cookies.update({cookie.name: str(cookie.value) for cookie in answer.cookies})
        if answer.status_code == 503 and "Refresh" in answer.headers:  # as a browser does
            time.sleep(float(answer.headers["Refresh"]))
            return get(address)
        return answer

    together.wait(60)
    started = time.perf_counter()
    try:
        answer = get(launch_url)
        if answer.status_code not in (200, 303):
            return f"/launch {answer.status_code}"
        answer = get(through_the_ehr(answer.status_code, answer.headers.get("Location"), answer.text))
        if answer.status_code != 303:
            return f"/callback {answer.status_code}"
        answer = get(answer.headers["Location"])
    except (requests.RequestException, SystemExit) as error:
        return type(error).__name__
    return time.perf_counter() - started if answer.status_code == 200 else f"first page {answer.status_code}"


def at_once(ehr: SandboxEhr, origin: str) -> dict[str, Any]:
    """Fifty browsers together. ``lost`` names each one that did not see the first page."""
    urls = [ehr.launch_url("ab"[number % 2], "dr-lee", PEOPLE[number % len(PEOPLE)]) for number in range(AT_ONCE)]
    together = threading.Barrier(AT_ONCE)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        results = list(pool.map(lambda url: browse(url, origin, together), urls))
    took = sorted(one for one in results if isinstance(one, float))
    return {
        "launches": AT_ONCE,
        "lost": [one for one in results if isinstance(one, str)],
        "p50_seconds": round(statistics.median(took), 2) if took else None,
        "slowest_seconds": round(took[-1], 2) if took else None,
    }


# --- the demo --------------------------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_demo(folder: Path) -> Iterator[Place]:
    """A demo on free ports, ended afterwards in order."""
    place = Place(folder, Ports(*(free_port() for _ in range(6))))
    command = [sys.executable, "-m", "smart_app", "demo", "--directory", str(folder)]
    for name, port in vars(place.ports).items():
        command += [f"--{name.replace('_', '-')}-port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as demo:
        for line in demo.stdout or ():
            if line.startswith("Ready"):
                break
        if demo.poll() is not None:
            sys.exit(f"The demo ended with {demo.returncode}.")
        threading.Thread(target=lambda: [None for _ in demo.stdout or ()], daemon=True).start()
        try:
            yield place
        finally:
            demo.send_signal(signal.SIGTERM)
            demo.wait(30)


def machine() -> dict[str, Any]:
    """Enough to compare one run with another."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.processor()
    return {"cpu": model, "cores": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()}


def main() -> int:
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--launches", type=int, default=200)
    given = ask.parse_args()
    with tempfile.TemporaryDirectory() as folder, running_demo(Path(folder)) as place:
        ehr, _ = place.sandboxes()
        concurrent = at_once(ehr, place.app_url)
        settings = load(place.config)
        app = create_app(settings)
        logs.configure(stream=StringIO())
        plain = plain_app(place, KeyRing.load(settings.registrations.keys_file))

        def launch_url(number: int) -> str:
            return ehr.launch_url("b", "dr-lee", PEOPLE[number % len(PEOPLE)])

        ours = cpu(app, launch_url, given.launches)
        theirs = cpu(plain, launch_url, given.launches)
    figures = {
        "launch_cpu": {**ours, "p50_limit_ms": P50_LIMIT_MS, "p99_limit_ms": P99_LIMIT_MS},
        "plain_flask_and_authlib_cpu": theirs,
        "times_the_plain_app_at_p50": round(ours["p50_ms"] / theirs["p50_ms"], 2),
        "fifty_at_once": concurrent,
        "machine": machine(),
    }
    print(json.dumps(figures, indent=2))
    is_met = ours["p50_ms"] <= P50_LIMIT_MS and ours["p99_ms"] <= P99_LIMIT_MS and not concurrent["lost"]
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main())
