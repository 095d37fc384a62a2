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
        ("linear-binary", "f2471fbb6911dc032ec04787ddd333edf96973a56ea97ee7177a300b9b071b23"),
        ("linear-regression", "e861debdfdca42a29a45ca77297dcba8fe8a853b1e378605fd8aca6eb98481e0"),
        ("linear-multiclass", "3ce7aa9432f36d000d3d04fa80f7381521ce210c7b73e1b9e81ebcec5da119c2"),
        ("trees-binary-calibrated", "d60da989f2684063fc434a584bc6ae20e1cd0cd250bbb159370a1c0de9eede7d"),
        (
            "network-multiclass-calibrated",
            "1b98b36e807c2188787a48f3fa2a223655b358535c41d62172b9d6f0b1b7f73f",
        ),
    ],
)
def test_a_model_of_the_first_format_still_predicts_the_same(name: str, digest: str) -> None:
    bundle = read_bundle(_HERE / name)
    assert bundle.digest == digest, "the files are not those that were written"
    with Scorer.open(_HERE / name, "auto") as scorer:
        found = scorer.predict(bundle.golden)
    np.testing.assert_allclose(found, outputs_of(bundle.golden, bundle.description), rtol=1e-9, atol=1e-9)
