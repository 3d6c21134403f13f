"""A model card says what a buyer of the policy would ask."""

from __future__ import annotations

from dataclasses import replace

import pytest

from experiments.cards import make_controller_card, make_policy_card
from experiments.champion import compute_sprint_verdict, describe_verdict, make_evidence
from experiments.datasets import compute_family_digest, make_sprint_datasets
from gaelp_rl.config.loading import load_config
from gaelp_rl.config.market import load_family
from gaelp_rl.config.sprint import SprintConfig
from gaelp_rl.features.catalogue import OBSERVATION_SCHEMA
from tests.experiments.test_champion import _make_candidate, _make_judgement

CONFIG = load_config(
    SprintConfig,
    None,
    [
        'families=["campaign", "wide"]',
        'evaluation.families=["campaign", "mild"]',
        "evaluation.worlds=40",
        "evaluation.seed=7",
        "training.episodes=4096",
        "training.seed=3",
        "validation_seed=10000",
        "validation_worlds=256",
    ],
)


def test_policy_card__data_worlds_scores_verdict_and_limits() -> None:
    judgement = _make_judgement(0.05)
    verdict = compute_sprint_verdict(judgement, _make_candidate(0.01))
    card = make_policy_card(CONFIG, _make_candidate(0.01), judgement, verdict, describe_verdict(judgement, verdict))
    policy = judgement.comparisons[0].find("policy")
    digest = compute_family_digest(load_family("campaign"))
    for said in (
        "The trained policy is champion",
        "behind the guardrails",
        "- simulated: 4,096 days of campaign, wide",
        "- training seed: 3",
        "- history or bootstrap: none: trained from scratch",
        f"- observation schema: version {OBSERVATION_SCHEMA.version}, hash {OBSERVATION_SCHEMA.hash}",
        "- chosen weights: average, 0.5 of the trained action",
        f"| campaign | validation | validation | 10000 to 10255 | {digest} |",
        f"| campaign | test | test | 7 to 46 | {digest} |",
        "| mild | test | test | 7 to 46 |",
        f"| campaign | policy | {100 * policy.fho_iqm:.2f} | {100 * policy.fho_ci.low:.2f} to",
        "- by the claim rule: it is champion",
        f"- campaign: {verdict.reasons['campaign'][0]}",
        "nothing here was measured on a live platform",
        "- Trained on wide and not judged there.",
    ):
        assert said in card
    assert "Not recorded." not in card


def test_controller_card__was_not_trained() -> None:
    judgement = _make_judgement(-0.05)
    verdict = compute_sprint_verdict(judgement, _make_candidate(0.01))
    card = make_controller_card("reference", CONFIG, judgement, verdict, describe_verdict(judgement, verdict))
    assert "nothing in it was learned by gradient" in card
    assert "experiments/configs/comparators.toml" in card
    assert "| training |" not in card
    assert "- by the claim rule: it is champion" in card
    assert "Not recorded." not in card


def test_evidence__is_about_whom_it_names() -> None:
    """A controller that wins is not better than itself: what makes it champion is that nobody beat it."""
    judgement = _make_judgement(-0.05)
    verdict = compute_sprint_verdict(judgement, _make_candidate(0.01))
    reference = make_evidence("reference", "a" * 64, judgement, verdict, CONFIG.evaluation, None)
    policy = make_evidence("policy", "b" * 64, judgement, verdict, CONFIG.evaluation, None)
    assert (reference.champion, reference.better, reference.verdict) == ("reference", False, "best controller")
    assert (policy.champion, policy.better, policy.verdict) == ("reference", False, "reference instead")
    assert policy.fho_iqm["campaign"] < reference.fho_iqm["campaign"]


def test_datasets__one_per_family_and_use_and_a_digest_that_follows_what_they_are() -> None:
    found = {dataset.name: dataset for dataset in make_sprint_datasets(CONFIG)}
    assert {name: dataset.context for name, dataset in found.items()} == {
        "campaign-train": "training",
        "wide-train": "training",
        "campaign-validation": "validation",
        "wide-validation": "validation",
        "campaign-test": "test",
        "mild-test": "test",
    }
    assert len({dataset.digest for dataset in found.values()}) == 6
    other = load_config(SprintConfig, None, ["training.seed=4", "evaluation.seed=7", "evaluation.worlds=40"])
    same = {dataset.name: dataset.digest for dataset in make_sprint_datasets(other)}
    assert same["campaign-test"] == found["campaign-test"].digest
    assert same["campaign-train"] != found["campaign-train"].digest


@pytest.mark.parametrize("change", [{"days": 27}, {"conversion_log_sd": 0.61}])
def test_family_digest__follows_every_setting(change: dict[str, float]) -> None:
    family = load_family("wide")
    assert compute_family_digest(family.model_copy(update=change)) != compute_family_digest(family)
    assert compute_family_digest(replace_name(family)) != compute_family_digest(family)


def replace_name(family):
    return family.model_copy(update={"name": "other"})


def test_datasets__a_market_of_ones_own_brings_its_settings(tmp_path) -> None:
    """The code version does not hold them."""
    (tmp_path / "market.toml").write_text('name = "mine"\ndays = 14\n')
    config = load_config(SprintConfig, None, [f'families=["{tmp_path / "market.toml"}"]'])
    training = make_sprint_datasets(config)[0]
    assert (training.name, training.profile["family"]["days"]) == ("mine-train", 14)
    assert str(tmp_path) not in str(training.source)
    assert replace(training, name="x").digest == training.digest
