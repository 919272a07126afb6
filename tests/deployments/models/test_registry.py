"""The registry: refuses wrong configurations, selects models, and checks requests; it loads nothing."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from audiograph.errors import AudiographError, InvalidRequest, ModelUnavailable, NotFound, NotServed
from audiograph.schemas import (
    DescribeRequest,
    DialogueRequest,
    Request,
    SpeakRequest,
    TaskName,
    Turn,
    Weights,
)
from deployments.config import AppConfig, WeightsPolicy
from deployments.models.registry import Registry
from deployments.models.weights import supply
from tests.support.environments import Environments

TOYS = "tests.deployments.replica.toy_models"


Models = Mapping[str, Mapping[str, Any]]


def config_of(models: Models | None = None, **application: Any) -> AppConfig:
    models = models or {"toy": {"class": f"{TOYS}:Toy"}}
    return AppConfig.model_validate({"models": models, **application})


def registry_of(models: Models | None = None, **application: Any) -> Registry:
    return Registry.from_config(config_of(models, **application))


def entry(toy: str = "Toy", **fields: Any) -> Models:
    return {"toy": {"class": f"{TOYS}:{toy}", **fields}}


@pytest.mark.parametrize(
    ("models", "message"),
    [
        (
            {"toy": {"class": "deployments.models.nowhere:Toy"}},
            r"models.toy.class: module '.*nowhere' cannot",
        ),
        (entry("Nobody"), r"models.toy.class: module '.*' has no class 'Nobody'"),
        (entry("NOT_A_MODEL"), r"models.toy.class: .* must be a subclass of exactly"),
        (entry("Idle"), r"models.toy.class: .*:Idle does not define run$"),
        (entry("Taskless"), r"models.toy.class: .*:Taskless does not define tasks, variants"),
        (
            entry("Baseless"),
            r"models.toy.class: .*:Baseless must be a subclass of exactly one of Model, BatchedModel",
        ),
        (
            entry("Undecided"),
            r"models.toy.class: .*:Undecided must be a subclass of exactly one of Model, BatchedModel",
        ),
        (
            entry("Voiceless"),
            r"models.toy.class: .*:Voiceless speaks, but is not a subclass of .*SpeechModel",
        ),
        (entry("Repeating"), r"models.toy.class: Repeating.variants is empty or repeats itself"),
        (entry(options={"greting": "hi"}), r"models.toy.options.greting: Extra inputs.*options: greeting"),
        (entry(options={"greeting": 3}), r"models.toy.options.greeting: Input should be a valid string"),
        (
            entry(default_variant="huge"),
            r"models.toy.default_variant: no variant 'huge'; variants: small, medium",
        ),
        (entry(preload=["small", "huge"]), r"models.toy.preload: no variant 'huge'"),
        ({"a/b": {"class": f"{TOYS}:Toy"}}, r"models.a/b: a name has only letters, digits"),
    ],
)
def test_a_wrong_entry_is_refused_with_its_path(models: Models, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        registry_of(models)


@pytest.mark.parametrize(("task", "name"), [("speak", "toys"), ("describe", "toy")])
def test_a_default_must_serve_its_task(task: TaskName, name: str) -> None:
    with pytest.raises(ValueError, match=f"defaults.{task}: {name!r} does not serve it; models that do: "):
        registry_of(defaults={task: name})


def test_a_card_has_the_facts_that_are_known_without_loading() -> None:
    card = registry_of(entry(default_variant="medium", weights="tiny"), weights="auto").card("toy")
    assert (card.tasks, card.variants) == (("speak",), ("small", "medium", "large"))
    assert (card.default_variant, card.weights_policy) == ("medium", "tiny")
    assert (card.deterministic, card.missing) == (False, None)
    assert registry_of(weights="auto").card("toy").weights_policy == "auto"


def test_an_unknown_card_is_not_found() -> None:
    with pytest.raises(NotFound, match="configured: toy") as refused:
        registry_of().card("whisper")
    assert refused.value.field == "model"


def test_a_missing_package_is_on_the_card_and_refuses_requests() -> None:
    registry = registry_of(entry("Unready"))
    assert registry.card("toy").missing == "install the package toys"
    assert registry.voices("toy") == []
    with pytest.raises(ModelUnavailable, match="install the package toys"):
        registry.resolve(SpeakRequest(text="hi"))


def test_a_package_of_another_environment_is_not_missed_here() -> None:
    options = {"ray_actor_options": {"runtime_env": {"py_executable": "/opt/toys/bin/python"}}}
    assert registry_of(entry("Unready", deployment=options)).card("toy").missing is None


def test_a_missing_environment_is_named_and_its_packages_are_not(environments: Environments) -> None:
    registry = registry_of(entry("Unready", environment="toys"))
    fault = "its environment 'toys' does not exist; run `make envs`"
    assert registry.card("toy").missing == fault
    assert registry.voices("toy") == []
    with pytest.raises(ModelUnavailable, match=f"model 'toy' cannot run here: {fault}"):
        registry.resolve(SpeakRequest(text="hi"))
    environments.make("toys")
    assert registry_of(entry("Unready", environment="toys")).card("toy").missing is None


def test_model_and_variant_are_filled_in() -> None:
    request = SpeakRequest(text="hi", tags=["a"])
    resolved = registry_of().resolve(request)
    assert (resolved.model, resolved.variant) == ("toy", "small")
    assert (resolved.text, resolved.tags) == ("hi", ["a"])
    assert request.model is None


def test_the_first_model_of_a_task_is_its_default_unless_one_is_configured() -> None:
    two = {"one": {"class": f"{TOYS}:Toy"}, "two": {"class": f"{TOYS}:Choir"}}
    assert registry_of(two).resolve(SpeakRequest(text="hi")).model == "one"
    assert registry_of(two, defaults={"speak": "two"}).resolve(SpeakRequest(text="hi")).model == "two"
    assert registry_of(two).resolve(DialogueRequest(turns=[Turn(text="hi")])).model == "two"
    assert registry_of(two).resolve(SpeakRequest(text="hi", model="two", variant="large")).variant == "large"


def test_a_model_without_its_weights_is_no_default_and_the_result_says_so(tmp_path: Path) -> None:
    two = {"one": {"class": f"{TOYS}:Toy", "weights": "tiny"}, "two": {"class": f"{TOYS}:Weightless"}}
    registry = registry_of(two, work_dir=tmp_path)
    request = SpeakRequest(text="hi")
    resolved = registry.resolve(request)
    assert resolved.model == "two"
    (note,) = registry.notes_on_default(request, resolved)
    assert note.startswith("two stands in for one: its weights are not on this machine")
    for chosen in (SpeakRequest(text="hi", voice="zoe"), SpeakRequest(text="hi", variant="extra")):
        assert registry.resolve(chosen).model == "two"
        assert registry.notes_on_default(chosen, registry.resolve(chosen)) == []
    named = SpeakRequest(text="hi", model="one")
    assert registry.resolve(named).model == "one"
    assert registry.notes_on_default(named, registry.resolve(named)) == []
    configured = registry_of(two, defaults={"speak": "one"})
    assert configured.resolve(request).model == "one"
    assert configured.notes_on_default(request, configured.resolve(request)) == []


def test_a_voice_that_only_another_model_has_selects_that_model() -> None:
    two = {"one": {"class": f"{TOYS}:Toy"}, "two": {"class": f"{TOYS}:Weightless"}}
    registry = registry_of(two)
    for voice, model in (("anna", "one"), ("zoe", "two"), ("nobody", "one")):
        request = SpeakRequest(text="hi", voice=voice)
        assert registry.resolve(request).model == model
        assert registry.notes_on_default(request, registry.resolve(request)) == []


def test_a_text_that_the_default_cannot_speak_goes_to_the_next_model() -> None:
    two = {"one": {"class": f"{TOYS}:Latin"}, "two": {"class": f"{TOYS}:Weightless"}}
    registry = registry_of(two)
    request = SpeakRequest(text="Привет")
    assert registry.resolve(SpeakRequest(text="hi")).model == "one"
    assert registry.resolve(request).model == "two"
    assert registry.notes_on_default(request, registry.resolve(request)) == [
        "two stands in for one, which cannot speak this text."
    ]
    assert registry.resolve(SpeakRequest(text="Привет", model="one")).model == "one"


def test_a_variant_that_only_another_model_has_selects_that_model() -> None:
    two = {"one": {"class": f"{TOYS}:Toy"}, "two": {"class": f"{TOYS}:Giant"}}
    for defaults in (dict[str, str](), {"speak": "one"}):
        registry = registry_of(two, defaults=defaults)
        assert registry.resolve(SpeakRequest(text="hi", variant="giant")).model == "two"
        assert registry.resolve(SpeakRequest(text="hi", variant="large")).model == "one"
        with pytest.raises(NotServed, match="'one' has no variant 'huge'"):
            registry.resolve(SpeakRequest(text="hi", variant="huge"))


@pytest.mark.parametrize(
    ("request_", "error", "field", "details"),
    [
        (DescribeRequest(file="f"), NotServed, "task", {"value": "describe", "tasks": ["speak", "dialogue"]}),
        (
            SpeakRequest(text="hi", model="whisper"),
            NotServed,
            "model",
            {"value": "whisper", "models": ["toy", "choir"]},
        ),
        (
            DialogueRequest(turns=[Turn(text="hi")], model="toy"),
            NotServed,
            "model",
            {"value": "toy", "models": ["choir"]},
        ),
        (
            SpeakRequest(text="hi", variant="huge"),
            NotServed,
            "variant",
            {"value": "huge", "variants": ["small", "medium", "large"]},
        ),
        (SpeakRequest(text="small"), InvalidRequest, "text", {}),
    ],
)
def test_a_request_that_cannot_be_served_is_refused_with_valid_values(
    request_: Request, error: type[AudiographError], field: str, details: dict[str, Any]
) -> None:
    registry = registry_of({"toy": {"class": f"{TOYS}:Toy"}, "choir": {"class": f"{TOYS}:Choir"}})
    with pytest.raises(error) as refused:
        registry.resolve(request_)
    assert type(refused.value) is error
    assert (refused.value.field, refused.value.details) == (field, details)
    for name in details.get(next(reversed(details), ""), []):
        assert name in refused.value.message


def test_a_model_may_say_why_it_does_not_serve_a_task() -> None:
    registry = registry_of({"dia": {"class": "deployments.models.dia:Dia"}, "toy": {"class": f"{TOYS}:Toy"}})
    with pytest.raises(NotServed, match=r"does not serve task 'speak': .*at least two turns; models: toy$"):
        registry.resolve(SpeakRequest(text="hi", model="dia"))


def test_a_message_does_not_list_a_hundred_names() -> None:
    models = {f"toy{number}": {"class": f"{TOYS}:Toy"} for number in range(30)}
    with pytest.raises(NotServed, match=r"toy19 and 10 more$") as refused:
        registry_of(models).resolve(SpeakRequest(text="hi", model="x"))
    assert len(refused.value.details["models"]) == 30


def test_the_model_of_a_task_is_selected_without_a_request() -> None:
    registry = registry_of({"one": {"class": f"{TOYS}:Toy"}, "two": {"class": f"{TOYS}:Giant"}})
    assert registry.select("speak", None, None).name == "one"
    assert registry.select("speak", None, "giant").name == "two"
    assert registry.select("speak", "two", None).name == "two"
    with pytest.raises(NotServed, match="models: one, two"):
        registry.select("speak", "three", None)


def test_missing_voices_are_replaced_by_the_default_voice() -> None:
    request = DialogueRequest(
        model="toy", turns=[Turn(text="a", voice="gone"), Turn(text="b", voice="anna"), Turn(text="c")]
    )
    replaced = registry_of(entry("Choir")).without_voices(request, {"gone"})
    assert isinstance(replaced, DialogueRequest)
    assert [turn.voice for turn in replaced.turns] == [None, "anna", None]
    assert [turn.voice for turn in request.turns] == ["gone", "anna", None]


@pytest.mark.parametrize("transcript", [None, ""])
def test_a_model_that_needs_transcripts_refuses_voices_without(transcript: str | None) -> None:
    registry = registry_of({"toy": {"class": f"{TOYS}:Toy"}, "reader": {"class": f"{TOYS}:Reader"}})
    request = SpeakRequest(text="hi", model="reader", voice="anna")
    registry.check_voices(request, {"anna": "it was night"})
    registry.check_voices(request.model_copy(update={"model": "toy"}), {"anna": transcript})
    with pytest.raises(
        InvalidRequest, match=r"model 'reader' needs the transcript of voice 'anna'"
    ) as refused:
        registry.check_voices(request, {"anna": transcript})
    assert (refused.value.field, refused.value.details) == ("voice", {"value": "anna"})


def test_voices_of_a_model_that_does_not_speak_are_no_concern() -> None:
    registry = registry_of({"hpss": {"class": "deployments.models.hpss:Hpss"}})
    request = SpeakRequest(text="hi", model="hpss", voice="anna")
    assert registry.voices("hpss") == []
    assert registry.without_voices(request, {"anna"}) == request
    registry.check_voices(request, {"anna": None})


@pytest.mark.parametrize(
    ("policy", "reachable", "weights"),
    [
        ("pretrained", False, "pretrained"),
        ("tiny", True, "random"),
        ("auto", True, "pretrained"),
        ("auto", False, "random"),
    ],
)
def test_the_weights_of_a_model_follow_its_policy(
    policy: WeightsPolicy,
    reachable: bool,
    weights: Weights,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[tuple[str, Path]] = []

    def hub_reachable(url: str, work_dir: Path) -> bool:
        calls.append((url, work_dir))
        return reachable

    monkeypatch.setattr(supply, "hub_reachable", hub_reachable)
    registry = registry_of(entry(weights=policy), work_dir=tmp_path)
    assert registry.weights("toy", "small").weights == weights
    assert calls == ([(supply.HUB, tmp_path)] if policy == "auto" else [])
    with pytest.raises(NotFound):
        registry.weights("whisper", "base")


def test_a_model_without_weights_has_none() -> None:
    registry = registry_of({"hpss": {"class": "deployments.models.hpss:Hpss", "weights": "auto"}})
    assert registry.weights("hpss", "hpss").weights == "none"


def test_the_registry_imports_nothing_heavy() -> None:
    program = (
        "import sys; from deployments.config import AppConfig; "
        "from deployments.models.registry import Registry; "
        "names = ['whisper:Whisper', 'espeak:EspeakSpeech']; "
        "models = {str(i): {'class': 'deployments.models.' + name} for i, name in enumerate(names)}; "
        "Registry.from_config(AppConfig.model_validate({'models': models})); "
        "heavy = {'torch', 'librosa', 'whisper', 'matplotlib', 'ray', 'numba'} & sys.modules.keys(); "
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(["clients", "."])},
    )
    assert done.returncode == 0, done.stderr
