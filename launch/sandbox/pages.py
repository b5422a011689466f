"""The pages of the sandbox EHR: who is signed in, charts, the schedule, the portal, and the framed app.

There is no log-in: ``?as=<practitioner>`` says who is signed in. Everyone here is invented.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from flask import Blueprint, Response, make_response, render_template, request, url_for
from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.utils import redirect

from launch.sandbox import chart_view
from launch.sandbox.access import TREATING_ROLES, Access, kind_of_staff
from launch.sandbox.addresses import APP_NAME, BASES, CLIENT_ID
from launch.sandbox.ehr import Ehr
from launch.sandbox.people import CLINIC_ZONE, StaffMember, person_name, summary, utc_now
from launch.sandbox.query import with_query
from launch.sandbox.records import Payload

FRAME_SANDBOX = (
    "allow-forms allow-modals allow-popups allow-popups-to-escape-sandbox allow-same-origin allow-scripts "
    "allow-downloads"
)
"""What a common EHR lets a framed app do: everything but move the top window."""

BASE_NAMES = {"a": "EHR A", "b": "EHR B"}
BASE_WORDS = {"a": "takes write-back and hides labelled content", "b": "read only"}
DEFAULT_STAFF = "dr-lee"


def blueprint(ehr: Ehr) -> Blueprint:
    """The page routes."""
    routes = Blueprint("pages", __name__)
    pages = Pages(ehr)

    @routes.errorhandler(HTTPException)
    def not_here(error: HTTPException) -> Response:
        sentence = "There is nothing at this address."
        return make_response(render_template("refused.html", sentence=sentence), error.code or 404)

    @routes.app_context_processor
    def names() -> dict[str, Any]:
        return {"app_name": APP_NAME, "base_names": BASE_NAMES, "base_words": BASE_WORDS}

    routes.add_url_rule("/", "home", pages.home)
    routes.add_url_rule("/<any(a, b):base>/chart/<patient>", "chart", pages.chart)
    routes.add_url_rule("/<any(a, b):base>/chart/<patient>/app", "chart_app", pages.chart_app)
    routes.add_url_rule("/<any(a, b):base>/chart/<patient>/tab", "chart_tab", pages.chart_tab)
    routes.add_url_rule("/<any(a, b):base>/portal/<patient>", "portal", pages.portal)
    routes.add_url_rule("/<any(a, b):base>/schedule", "schedule", pages.schedule)
    routes.add_url_rule("/<any(a, b):base>/schedule/app", "schedule_app", pages.schedule_app)
    routes.add_url_rule("/<any(a, b):base>/schedule/tab", "schedule_tab", pages.schedule_tab)
    return routes


class Pages:
    """One method per page."""

    def __init__(self, ehr: Ehr) -> None:
        self.ehr = ehr

    # -- who is looking ----------------------------------------------------------------------------------------------

    def _signed_in(self) -> StaffMember:
        member = self.ehr.staff.get(request.args.get("as", DEFAULT_STAFF))
        if member is None:
            raise NotFound
        return member

    def _access(self, base: str, member: StaffMember) -> Access:
        return Access(
            base=base, client_id=CLIENT_ID, kind=kind_of_staff(member.role), user=f"Practitioner/{member.id}",
            role=member.role, patient=None, scopes=(),
        )  # fmt: skip

    def _patient(self, base: str, patient: str) -> Payload:
        record = self.ehr.records[base].current("Patient", patient)
        if record is None or record.is_deleted:
            raise NotFound
        return record.payload

    def _today(self) -> date:
        return utc_now().astimezone(CLINIC_ZONE).date()

    # -- pages -------------------------------------------------------------------------------------------------------

    def home(self) -> str:
        """Who is signed in, and the people of each base."""
        today = self._today()
        charts = {
            base: [
                {
                    **summary(record),
                    "banner": chart_view.banner(record.payload, today),
                    "proxies": self.ehr.records[base].every("RelatedPerson", record.id),
                }
                for record in self.ehr.records[base].every("Patient")
            ]
            for base in BASES
        }
        return render_template(
            "home.html", charts=charts, staff=self.ehr.staff.values(), member=self._signed_in(), treating=TREATING_ROLES
        )

    def chart(self, base: str, patient: str) -> str:
        """One chart as the signed-in person sees it."""
        payload, member = self._patient(base, patient), self._signed_in()
        access = self._access(base, member)
        observations = chart_view.visible(self.ehr, access, "Observation", patient)
        encounters = chart_view.visible(self.ehr, access, "Encounter", patient)
        orders = chart_view.visible(self.ehr, access, "ServiceRequest", patient)
        return render_template(
            "chart.html",
            base=base,
            member=member,
            banner=chart_view.banner(payload, self._today()),
            today=chart_view.lines([one for one in encounters if one.payload.get("status") == "in-progress"]),
            visits=chart_view.lines([one for one in encounters if one.payload.get("status") != "in-progress"])[:8],
            vitals=chart_view.lines([one for one in observations if chart_view.is_vital(one)])[:8],
            observations=chart_view.lines([one for one in observations if not chart_view.is_vital(one)])[:20],
            orders=chart_view.lines(orders),
            appointments=chart_view.lines(chart_view.visible(self.ehr, access, "Appointment", patient)),
            problems=chart_view.lines(chart_view.visible(self.ehr, access, "Condition", patient))[:8],
        )

    def portal(self, base: str, patient: str) -> str:
        """What the patient, or somebody who looks with them, finds in the portal."""
        payload, records = self._patient(base, patient), self.ehr.records[base]
        viewer = "proxy" if request.args.get("as") == "proxy" else "patient"
        access = Access(
            base=base, client_id="patient-portal", kind=viewer, user="", role=None, patient=patient, scopes=()
        )

        def shown(resource_type: str) -> list[chart_view.Line]:
            return chart_view.lines(chart_view.visible(self.ehr, access, resource_type, patient))

        return render_template(
            "portal.html",
            base=base,
            banner=chart_view.banner(payload, self._today()),
            viewer=viewer,
            proxies=[person_name(one.payload) for one in records.every("RelatedPerson", patient)],
            sections={
                "Results and notes": shown("Observation"),
                "Orders and referrals": shown("ServiceRequest"),
                "Appointments": shown("Appointment"),
            },
        )

    def schedule(self, base: str) -> str:
        """The clinic's schedule: neutral appointments, earliest first."""
        member = self._signed_in()
        records = chart_view.visible(self.ehr, self._access(base, member), "Appointment", None)
        upcoming = [one for one in records if str(one.payload.get("start", "9")) >= self._today().isoformat()]
        rows = [
            (line, self._who(base, one.payload)) for one, line in zip(upcoming, chart_view.lines(upcoming), strict=True)
        ]
        return render_template("schedule.html", base=base, member=member, rows=list(reversed(rows)))

    def _who(self, base: str, appointment: Payload) -> dict[str, str]:
        """Patient and staff of an appointment, by name."""
        names = {"Patient": "", "Practitioner": ""}
        for participant in appointment.get("participant", []):
            kind, _, one = participant.get("actor", {}).get("reference", "").partition("/")
            found = self.ehr.records[base].current(kind, one) if kind in names else None
            if found:
                names[kind] = person_name(found.payload)
        return {"patient": names["Patient"], "staff": names["Practitioner"]}

    # -- the app -----------------------------------------------------------------------------------------------------

    def _launch_address(self, base: str, member: StaffMember, patient: str | None) -> str:
        """The app's launch URL with a fresh, single-use launch value."""
        if patient is not None:
            self._patient(base, patient)
        value = self.ehr.start_launch(base, member.id, patient)
        issuer = self.ehr.addresses.fhir(base)
        return with_query(self.ehr.addresses.launch_url, [("iss", issuer), ("launch", value)])

    def _framed(self, base: str, patient: str | None) -> str:
        member = self._signed_in()
        payload = self._patient(base, patient) if patient else None
        return render_template(
            "framed.html",
            base=base,
            member=member,
            banner=chart_view.banner(payload, self._today()) if payload else None,
            back=_address("chart" if patient else "schedule", base, patient, member),
            tab=_address("chart_tab" if patient else "schedule_tab", base, patient, member),
            frame_sandbox=FRAME_SANDBOX,
            address=self._launch_address(base, member, patient),
        )

    def _in_tab(self, base: str, patient: str | None) -> Response:
        return make_response(redirect(self._launch_address(base, self._signed_in(), patient), 303))

    def chart_app(self, base: str, patient: str) -> str:
        """The app framed in a chart."""
        return self._framed(base, patient)

    def chart_tab(self, base: str, patient: str) -> Response:
        """The app at top level, from a chart."""
        return self._in_tab(base, patient)

    def schedule_app(self, base: str) -> str:
        """The app framed without a patient."""
        return self._framed(base, None)

    def schedule_tab(self, base: str) -> Response:
        """The app at top level, without a patient."""
        return self._in_tab(base, None)


def _address(page: str, base: str, patient: str | None, member: StaffMember) -> str:
    place = url_for(f"pages.{page}", base=base, patient=patient) if patient else url_for(f"pages.{page}", base=base)
    return with_query(place, [("as", member.id)])
