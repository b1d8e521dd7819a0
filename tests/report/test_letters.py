"""Substitutes for letters that an output cannot show."""

from __future__ import annotations

import io
import sys

import pytest

from ntkbound.report.letters import in_ascii, write_readably


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("m ≤ −0.5 ± 2×", "m <= -0.5 +- 2x"),
        ("1/√τ, ηL² ≥ 1", "1/sqrt tau, eta L^2 >= 1"),
        ("log²t/(tη)", "log^2t/(t eta)"),
        ("‖∇R̂‖ at φ̃_0, Ω_ρ, λ", "||grad R_hat|| at phi_tilde_0, Omega_rho, lambda"),
        ("½, 3 µs, · …", "1/2 , 3 us, * ..."),
        ("Łódź", "Lodz"),
        ("日本", "??"),
        ("plain", "plain"),
    ],
)
def test_the_meaning_stays(text, told):
    assert in_ascii(text) == told


@pytest.mark.parametrize("errors", ["strict", "surrogateescape", "backslashreplace"])
def test_a_stream_writes_what_it_cannot_encode(monkeypatch, errors):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors=errors)
    monkeypatch.setattr(sys, "stdout", stream)
    write_readably()
    stream.write("τη ≤ \udcff")
    stream.flush()
    assert stream.buffer.getvalue() == b"tau eta <= \xff"


def test_what_the_user_chose_stays(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="replace")
    monkeypatch.setattr(sys, "stdout", stream)
    write_readably()
    stream.write("τ")
    stream.flush()
    assert stream.buffer.getvalue() == b"?"
