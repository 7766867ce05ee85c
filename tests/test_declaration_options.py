"""Options: composing the configuration of a host module"""

from __future__ import annotations

import errno

import pytest

from hostmod.declaration import configure, option


class Server:
    port = 0
    host = ""


@option
def port(server: Server, number: int) -> None:
    """Listen there."""
    server.port = number


@option
def named(server: Server, *, host: str = "localhost") -> None:
    server.host = host


def test_options_configure_an_instance_in_order() -> None:
    server = Server()
    assert configure(server, port(80), named(), port(81)) is server
    assert (server.port, server.host) == (81, "localhost")
    assert configure(Server(), named(host="example")).host == "example"
    assert configure(Server()).port == 0


def test_an_option_can_be_applied_again_and_shows_its_arguments() -> None:
    http = port(80)
    assert (configure(Server(), http).port, configure(Server(), http).port) == (80, 80)
    assert repr(http) == "<option port(80)>"
    assert repr(named(host="x")) == "<option named(host='x')>"
    assert (port.__name__, port.__doc__) == ("port", "Listen there.")


def test_an_option_that_fails_leaves_what_came_before_it() -> None:
    @option
    def broken(server: Server) -> None:
        raise OSError(errno.EADDRINUSE, "in use")

    server = Server()
    with pytest.raises(OSError, match="in use"):
        configure(server, port(80), broken(), port(81))
    assert server.port == 80
