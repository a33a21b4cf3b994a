"""Client and server against each other: every path through both, with the streams between them cut everywhere."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.codec.conversation_cases import CASES
from tests.codec.conversations import EVERYWHERE, Conversation, Outcome, Proxy, Stream, User, converse

EVERY_CONVERSATION = pytest.mark.parametrize("conversation", CASES.values(), ids=CASES)
CUTS = st.sets(st.integers(1, 400))


@EVERY_CONVERSATION
def test_they_understand_each_other_and_hand_over_what_is_data(conversation: Conversation) -> None:
    outcome = converse(conversation)
    assert outcome.server_events == conversation.server_events
    assert outcome.client_events == conversation.client_events
    assert outcome.server_data == conversation.initial_data + conversation.false_start
    assert outcome.client_data == conversation.remote_data


@EVERY_CONVERSATION
def test_they_understand_each_other_octet_by_octet(conversation: Conversation) -> None:
    assert converse(conversation, EVERYWHERE, EVERYWHERE) == converse(conversation)


@EVERY_CONVERSATION
def test_every_two_pieces_of_a_stream_say_the_same_as_the_whole(conversation: Conversation) -> None:
    whole = converse(conversation)
    for cut in range(1, len(whole.to_server)):
        assert converse(conversation, server_cuts={cut}) == whole
    for cut in range(1, len(whole.to_client)):
        assert converse(conversation, client_cuts={cut}) == whole


@EVERY_CONVERSATION
@settings(max_examples=20)
@given(server_cuts=CUTS, client_cuts=CUTS)
def test_any_pieces_say_the_same(conversation: Conversation, server_cuts: set[int], client_cuts: set[int]) -> None:
    assert converse(conversation, server_cuts, client_cuts) == converse(conversation)


@EVERY_CONVERSATION
def test_neither_needs_the_other_to_wait(conversation: Conversation) -> None:
    whole = converse(conversation)
    proxy, user = Proxy(conversation, to_client := Stream()), User(conversation, to_server := Stream())
    proxy.receive(whole.to_server)
    user.receive(whole.to_client)
    assert whole == Outcome(
        tuple(proxy.events), tuple(user.events), proxy.data, user.data, to_server.sent, to_client.sent
    )
