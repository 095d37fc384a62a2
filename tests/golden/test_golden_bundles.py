"""Models that were written once are still read, and still say the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipelines.bundle.files import outputs_of, read_bundle
from pipelines.scoring.scorer import Scorer

_HERE = Path(__file__).resolve().parent


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("trees-binary", "23a149bc6f18fbef15dce63586362da75d40b5905f440048c469f05bdd933aec"),
        ("trees-regression", "e6dde4b250cffdca18f89c2e58a23568b8227d9e603b55521e6658c853e60b81"),
        ("trees-multiclass", "7069f5bec8dd61880502531f08ab5819ed1334043ae08bdbf998577d4f225560"),
        ("network-multiclass", "d910264b6d8945ec96e25b291d2e7b60eebe124ed9200bf6d8af910b29d41561"),
        ("network-binary", "581ecc748840a46b118a2407322121fe2ec0e7aa6100e98bc85c2676f46d1e47"),
        ("network-regression", "8d6bc05ef88a0a38a38930f775181d87607713c5fa4c529f06c991eabd6f4ce0"),
    ],
)
def test_a_model_of_the_first_format_still_predicts_the_same(name: str, digest: str) -> None:
    bundle = read_bundle(_HERE / name)
    assert bundle.digest == digest, "the files are not those that were written"
    with Scorer.open(_HERE / name, "auto") as scorer:
        found = scorer.predict(bundle.golden)
    np.testing.assert_allclose(found, outputs_of(bundle.golden, bundle.description), rtol=1e-9, atol=1e-9)
