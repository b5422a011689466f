"""R4's rules for a narrative, txt-1 and txt-2: basic formatting, one div, something in it, and nothing that runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fhir_profiles.validation.narrative import is_xhtml

RIGHT = {
    "words": "<div>a</div>",
    "with its namespace": '<div xmlns="http://www.w3.org/1999/xhtml">a</div>',
    "space around": " \n<div>a</div>\t",
    "a picture and no words": '<div><img src="a.png"/></div>',
    "a table": "<div><table><tr><td colspan='2'>a</td></tr></table></div>",
    "a div in a div": "<div>a<div>b</div></div>",
    "a line break": "<div>a<br/>b</div>",
    "space in tags": "<div  id = 'x' >a</div >",
    "a link": '<div><a href="https://x.example/?a=1&amp;b=2">a</a></div>',
    "entities": "<div>&amp;&nbsp;&eacute;&#233;&#xE9;</div>",
    "a comment": "<div><!-- a & <script> -->b</div>",
    "an empty comment": "<div><!---->b</div>",
    "comments around": "<!-- a --><div>b</div><!-- c -->",
    "a hyphen in a comment": "<div><!-- a-b -->c</div>",
    "the signs of a comment as words": "<div>--> a</div>",
    "any language": "<div lang='fa'>\u0633\u0644\u0627\u0645 \U0001f600</div>",
}
WRONG = {
    "nothing": "",
    "words alone": "a",
    "another element": "<p>a</p>",
    "a name that begins like it": "<divx>a</divx>",
    "capitals": "<DIV>a</DIV>",
    "empty": "<div></div>",
    "empty and closed": "<div/>",
    "only space": "<div> \n\t</div>",
    "only a comment": "<div><!-- a --></div>",
    "only empty elements": "<div><p></p><br/></div>",
    "never closed": "<div>a",
    "never closed inside": "<div><p>a</div>",
    "closed in the wrong order": "<div><b><i>a</b></i></div>",
    "closed twice": "<div>a</div></div>",
    "closed first": "</div><div>a</div>",
    "two of them": "<div>a</div><div>b</div>",
    "words after": "<div>a</div>b",
    "words before": "b<div>a</div>",
    "script": "<div>a<script>b</script></div>",
    "a form": "<div><form>a</form></div>",
    "an input": "<div><input/>a</div>",
    "a frame": '<div><iframe src="https://x.example"></iframe>a</div>',
    "an object": "<div><object>a</object></div>",
    "a style sheet": "<div><style>a</style></div>",
    "an element of another namespace": "<div><svg:svg>a</svg:svg></div>",
    "an event": '<div><p onclick="a()">b</p></div>',
    "an event in capitals": '<div><p ONCLICK="a()">b</p></div>',
    "an attribute twice": '<div class="a" class="b">c</div>',
    "an attribute without value": "<div hidden>a</div>",
    "an attribute without quotes": "<div id=a>b</div>",
    "an attribute without space": "<div id='a'class='b'>c</div>",
    "a bracket in an attribute": "<div title='<'>a</div>",
    "an attribute of an end": "<div>a</div id='b'>",
    "an end that closes itself": "<div>a</div/>",
    "a bare ampersand": "<div>a & b</div>",
    "a bare ampersand in an attribute": '<div><a href="?a=1&b=2">c</a></div>',
    "an entity without end": "<div>&amp a</div>",
    "an entity without name": "<div>&;</div>",
    "a number without digits": "<div>&#x;</div>",
    "a document type": "<!DOCTYPE html><div>a</div>",
    "an entity declared": '<!DOCTYPE d [<!ENTITY a "b">]><div>&a;</div>',
    "an instruction": "<div><?php a ?>b</div>",
    "character data": "<div><![CDATA[a]]></div>",
    "two hyphens in a comment": "<div><!-- a -- b -->c</div>",
    "a comment never closed": "<div>a<!-- b</div>",
    "a control character": "<div>a\x00b</div>",
    "an escape sequence": "<div>\x1b[31ma</div>",
    "no character": "<div>a\uffff</div>",
    # What a look that first takes the comments out would let through, and a browser would run.
    "script behind a comment in an attribute": '<div><p title="<!-- "><script>a()</script> -->">b</p></div>',
    "script behind a comment that is over": "<div>a<!--><script>b()</script>--></div>",
    "script behind a comment that is over, longer": "<div>a<!---><script>b()</script>--></div>",
    "a comment in a name": "<d<!-- a -->iv>b</div>",
    "an event behind a comment": '<div><p title="<!-- " onclick="a()" id=" -->">b</p></div>',
}
# Many of one thing, each as large as the limits let in.
MANY = {
    "tags": "<div>" + "<p>a</p>" * 3300 + "</div>",
    "nested": "<div>" + "<b>" * 4900 + "a" + "</b>" * 4900 + "</div>",
    "attributes": "<div " + " ".join(f"a{'a' * number}='b'" for number in range(1200)) + ">c</div>",
    "one attribute": '<div title="' + "a " * 400_000 + '">b</div>',
    "comments": "<div>" + "<!-- a -->" * 9900 + "b</div>",
    "comments never closed": "<div>" + "<!--" * 9900 + "</div>",
    "one comment never closed": "<div><!--" + "- " * 400_000,
    "one long comment": "<div><!-- " + "a-" * 400_000 + " -->b</div>",
    "entities": "<div>" + "&amp;" * 180_000 + "</div>",
    "entities never closed": "<div>" + "&a" * 400_000 + "</div>",
    "ampersands": "<div>" + "&" * 900_000 + "</div>",
    "space in a tag": "<div" + " " * 900_000,
    "space and a letter": "<div" + " a" * 450_000,
    "brackets": "<div>" + "<" * 9900,
    "words": "<div>" + "a" * 900_000,
    "quotes": "<div a='" + '"' * 900_000,
}


@pytest.mark.parametrize("name", RIGHT)
def test_basic_formatting_is_a_narrative(name: str) -> None:
    """What R4 allows is let through, in any language and with comments where a comment may stand."""
    assert is_xhtml(RIGHT[name])


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_narrative_is_refused(name: str) -> None:
    """Nothing that runs, asks or loads, nothing that two readers would take apart differently, and never nothing."""
    assert not is_xhtml(WRONG[name])


@pytest.mark.parametrize("name", MANY)
def test_many_of_one_thing_cost_little(name: str, least_cpu: Callable[..., tuple[float, Any]]) -> None:
    """Tags, attributes, comments and entities by the thousand are answered within 50 ms."""
    seconds, _ = least_cpu(lambda: is_xhtml(MANY[name]))
    assert seconds < 0.05
