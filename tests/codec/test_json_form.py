"""Messages as JSON and back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec.json_form import JsonFormError, from_json, to_json
from codec.kinds import DRAFT_11, DRAFTS
from codec.socks6 import messages, udp
from tests.codec import messages as common
from tests.codec import messages04, messages6

MESSAGES: dict[tuple[str, str], st.SearchStrategy[Any]] = {
    ("11", "request"): messages6.REQUEST,
    ("11", "auth-reply"): messages6.AUTHENTICATION_REPLY,
    ("11", "operation-reply"): messages6.OPERATION_REPLY,
    ("11", "udp"): messages6.UDP_MESSAGE,
    ("11", "mismatch"): messages6.VERSION_MISMATCH,
    ("04", "request"): messages04.REQUEST,
    ("04", "auth-reply"): messages04.AUTHENTICATION_REPLY,
    ("04", "operation-reply"): messages04.OPERATION_REPLY,
    ("04", "udp"): common.SOCKS5_DATAGRAM,
    ("04", "mismatch"): messages04.VERSION_MISMATCH,
}

REQUEST = DRAFT_11.kinds["request"].form
CONNECT: dict[str, Any] = {"command": "CONNECT", "address": {"type": "IPV4", "host": "192.0.2.1"}, "port": 443}
MULTIPATH = {"option": "Multipath", "leg": "PROXY_REMOTE", "wanted": True}


def test_fields_stand_by_name_enums_by_name_and_octets_in_hex() -> None:
    message = from_json(
        REQUEST, {**CONNECT, "options": [MULTIPATH, {"option": "SessionId", "id": "0a0b0c0d"}]}, DRAFT_11.classes
    )
    assert to_json(message) == {**CONNECT, "options": [MULTIPATH, {"option": "SessionId", "id": "0a0b0c0d"}]}


@pytest.mark.parametrize(("draft", "kind"), MESSAGES)
@given(data=st.data())
def test_every_message_survives_json(draft: str, kind: str, data: st.DataObject) -> None:
    message = data.draw(MESSAGES[draft, kind])
    text = json.dumps(to_json(message))
    assert from_json(DRAFTS[draft].kinds[kind].form, json.loads(text), DRAFTS[draft].classes) == message


def test_every_kind_is_tried() -> None:
    assert set(MESSAGES) == {(draft, kind) for draft, spoken in DRAFTS.items() for kind in spoken.kinds}


def test_a_udp_message_says_which_one_it_is() -> None:
    message = udp.AssociationInit(bytes(8))
    described = {"message": "AssociationInit", "association_id": "00" * 8}
    assert to_json(message) == described
    assert from_json(udp.UdpMessage, described, DRAFT_11.classes) == message


def test_an_unknown_octet_is_a_number_and_a_known_number_is_its_name() -> None:
    assert from_json(REQUEST, {**CONNECT, "command": 77}, {}).command == 77
    assert to_json(from_json(REQUEST, {**CONNECT, "command": 1}, {}))["command"] == "CONNECT"


def test_what_has_a_default_may_be_left_out() -> None:
    assert from_json(messages.OperationReply, {"code": "TIMED_OUT"}, {}).port == 0


@pytest.mark.parametrize(
    ("described", "complaint"),
    [
        ([], "the message: .* is not an object"),
        ({"command": "CONNECT"}, "address, port is missing"),
        ({**CONNECT, "prot": 1}, "no field prot; there are command, address, port, options"),
        ({**CONNECT, "command": "CONECT"}, r"the message.command: 'CONECT' is none of NOOP, CONNECT"),
        ({**CONNECT, "command": True}, r"the message.command: True is none of"),
        ({**CONNECT, "port": "443"}, r"the message.port: '443' is not a number"),
        ({**CONNECT, "port": True}, r"the message.port: True is not a number"),
        ({**CONNECT, "address": {"type": "IPV4", "host": 1}}, r"address.host: 1 is not a text"),
        ({**CONNECT, "options": {}}, r"options: \{\} is not a list"),
        ({**CONNECT, "options": [{}]}, r"options\[0\]: \{\} is not an object with 'option'"),
        ({**CONNECT, "options": [{"option": "Multipass"}]}, r"no option 'Multipass'; there are .*Multipath"),
        ({**CONNECT, "options": [{"option": ["Tos"]}]}, r"there is no option"),
        ({**CONNECT, "options": [{**MULTIPATH, "wanted": 1}]}, r"wanted: 1 is not true or false"),
        ({**CONNECT, "options": [{"option": "SessionId", "id": "xyz"}]}, r"id: 'xyz' is not octets in hex"),
        ({**CONNECT, "options": [{"option": "SessionId", "id": 7}]}, r"id: 7 is not octets in hex"),
        ({**CONNECT, "options": [{"option": "Datagram"}]}, r"there is no option 'Datagram'"),
    ],
)
def test_a_mistake_is_told_where_it_is_and_what_would_be_right(described: Any, complaint: str) -> None:
    with pytest.raises(JsonFormError, match=complaint):
        from_json(REQUEST, described, DRAFT_11.classes)


def test_each_draft_knows_its_own_options() -> None:
    assert "MultipathScheduler" in DRAFTS["04"].classes
    assert "MultipathScheduler" not in DRAFTS["11"].classes
