"""Recipes: what they may say, and what is told when they say something else."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from dross.core.errors import DrossError
from dross.corpus.recipe import Recipe
from dross.curate.minhash_deduplication import MinhashDeduplication

BAD = {
    "steps: [minhash-deduplicatoin]": "did you mean 'minhash-deduplication'",
    "steps: [{budget: {row: 5}}]": "step 1: budget has no field 'row'.*did you mean 'rows'",
    "steps: [{budget: {rows: many}}]": "rows of budget is 'many', which is not of the type int",
    "steps: [{budget: {rows: true}}]": "not of the type int",
    "steps: [{budget: 5}]": "the fields of budget are no mapping.*rows, characters",
    "steps: [{budget: {}, ordering: {}}]": "step 1 is not one method",
    "steps: [cross-entropy]": "cross-entropy does not choose rows",
    "steps: []": "there are no steps",
    "stepz: [budget]": "no field 'stepz'.*did you mean 'steps'",
    "steps: budget": "must be a list",
    "steps: [budget": "this is not YAML.*line",
    "5": "a recipe is a list of steps",
    "{bad_lines: skip, steps: [budget]}": "bad_lines is 'skip'",
    "steps: [{minhash-deduplication: {similarity: 2}}]": "the similarity is 2",
    "steps: [{ordering: {by: highest}}]": "write: highest COLUMN",
}


@pytest.mark.parametrize("text", BAD)
def test_what_is_wrong_is_said_and_what_was_meant(text: str, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(text)
    with pytest.raises(DrossError, match=f"(?s){BAD[text]}"):
        Recipe.read(tmp_path / "recipe.yaml")


def test_a_recipe_is_read_back_with_every_field(tmp_path: Path) -> None:
    given = {
        "text": "body",
        "roles": {"domain": "source"},
        "steps": [{"minhash-deduplication": {"against": "old"}}, "ordering"],
    }
    recipe = Recipe.of(given)
    assert recipe.steps[0] == MinhashDeduplication(against=("old",))
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe.plain()))
    assert Recipe.read(tmp_path / "recipe.yaml") == recipe
    with pytest.raises(DrossError, match="no such recipe"):
        Recipe.read(tmp_path / "none.yaml")
