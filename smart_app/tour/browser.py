"""A browser without a screen: follows redirects by hand, keeps cookies, fills the forms that a page really has.

The tour and the flow tests use it so that they can only do what a person at the page could do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.cookiejar import DefaultCookiePolicy
from urllib.parse import urljoin, urlsplit

import requests
from requests.cookies import RequestsCookieJar, extract_cookies_to_jar, get_cookie_header

TIMEOUT_SECONDS = 20
MAX_REDIRECTS = 8


@dataclass
class Form:
    """One ``<form>`` as the page wrote it. ``fields`` are the values it would send if nobody touched it; ``choices``
    are the values its radio buttons, check boxes, selects and submit buttons offer, by name."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    choices: dict[str, list[str]] = field(default_factory=dict)
    goes_by_itself: bool = False


class Page:
    """One answer, parsed."""

    def __init__(self, response: requests.Response) -> None:
        self.status = response.status_code
        self.url = response.url
        self.html = response.text
        self.headers = response.headers
        parser = _PageParser()
        parser.feed(self.html)
        self.forms = parser.forms
        self.text = " ".join(" ".join(parser.words).split())
        self.links = [urljoin(response.url, link) for link, _ in parser.links]
        self.links_by_text = {" ".join(words.split()): urljoin(response.url, link) for link, words in parser.links}

    def form(self, action_ends: str, *, offering: str | None = None) -> Form:
        """The form whose action path ends so (and which offers the field ``offering``). Raises ``LookupError``."""
        for form in self.forms:
            path = urlsplit(urljoin(self.url, form.action)).path
            if path.endswith(action_ends) and (offering is None or offering in form.fields | form.choices):
                return form
        raise LookupError(f"the page has no form for {action_ends}")

    def link(self, path_ends: str) -> str:
        """The first link whose path ends so. Raises ``LookupError``."""
        for link in self.links:
            if urlsplit(link).path.endswith(path_ends):
                return link
        raise LookupError(f"the page has no link to {path_ends}")


class Browser:
    """One cookie jar. ``Secure`` cookies are sent over http too, as Chromium does on loopback."""

    def __init__(self) -> None:
        self._http = requests.Session()
        self._http.trust_env = False
        self._http.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # the jar below is the only one
        self._jar = RequestsCookieJar(DefaultCookiePolicy(secure_protocols=("http", "https")))

    def get(self, url: str) -> Page:
        """Open ``url``, follow redirects, and send the form that a page's own script would send at once."""
        page = Page(self._follow("GET", url))
        going = next((form for form in page.forms if form.goes_by_itself), None)
        return page if going is None else self.submit(page, going)

    def submit(self, page: Page, form: Form, values: Mapping[str, str] | None = None) -> Page:
        """Send ``form`` with ``values`` changed. Raises ``LookupError`` for a field or choice the form has not."""
        data = dict(form.fields)
        for name, value in (values or {}).items():
            offered = form.choices.get(name)
            if name not in form.fields and offered is None:
                raise LookupError(f"the form has no field {name}")
            if offered is not None and value not in offered:
                raise LookupError(f"the form offers {offered} for {name}")
            data[name] = value
        return Page(self._follow(form.method, urljoin(page.url, form.action), data))

    def _follow(self, method: str, url: str, data: Mapping[str, str] | None = None) -> requests.Response:
        for _ in range(MAX_REDIRECTS):
            response = self._send(method, url, data)
            if not response.is_redirect:
                return response
            url, method, data = urljoin(url, response.headers["Location"]), "GET", None
        raise requests.TooManyRedirects(url)

    def _send(self, method: str, url: str, data: Mapping[str, str] | None) -> requests.Response:
        headers = {"Accept": "text/html", "Sec-Fetch-Site": "same-origin" if method == "POST" else "cross-site"}
        request = self._http.prepare_request(requests.Request(method, url, data=data, headers=headers))
        cookies = get_cookie_header(self._jar, request)  # type: ignore[no-untyped-call]
        if cookies:
            request.headers["Cookie"] = cookies
        response = self._http.send(request, timeout=TIMEOUT_SECONDS, allow_redirects=False)
        extract_cookies_to_jar(self._jar, request, response.raw)  # type: ignore[no-untyped-call]
        return response


class _PageParser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.words: list[str] = []
        self.links: list[tuple[str, str]] = []
        self._in_link = False
        self._form: Form | None = None
        self._select: str | None = None
        self._area: str | None = None
        self._silent = 0

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        a = {name: value or "" for name, value in attributes}
        if tag in ("script", "style"):
            self._silent += 1
        elif tag == "a" and "href" in a:
            self.links.append((a["href"], ""))
            self._in_link = True
        elif tag == "form":
            self._form = Form(a.get("action", ""), a.get("method", "get").upper(), goes_by_itself="data-go" in a)
            self.forms.append(self._form)
        elif self._form is not None:
            self._field(tag, a)

    def _field(self, tag: str, a: dict[str, str]) -> None:
        form, name = self._form, a.get("name", "")
        if form is None or "disabled" in a:
            return
        if tag == "input" and name and a.get("type") in ("radio", "checkbox"):
            form.choices.setdefault(name, []).append(a.get("value", "on"))
            if "checked" in a:
                form.fields[name] = a.get("value", "on")
        elif (tag == "button" or (tag == "input" and a.get("type") == "submit")) and name:
            form.choices.setdefault(name, []).append(a.get("value", ""))
        elif tag == "input" and name:
            form.fields[name] = a.get("value", "")
        elif tag == "textarea" and name:
            form.fields[name] = ""
            self._area = name
        elif tag == "select" and name:
            self._select = name
            form.choices[name] = []
        elif tag == "option" and self._select:
            form.choices[self._select].append(a.get("value", ""))
            if "selected" in a or self._select not in form.fields:
                form.fields[self._select] = a.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._silent -= 1
        elif tag == "a":
            self._in_link = False
        elif tag == "form":
            self._form = None
        elif tag == "select":
            self._select = None
        elif tag == "textarea":
            self._area = None

    def handle_data(self, data: str) -> None:
        if self._in_link:
            self.links[-1] = (self.links[-1][0], self.links[-1][1] + data)
        if self._area and self._form:
            self._form.fields[self._area] += data
        if not self._silent:
            self.words.append(data)
