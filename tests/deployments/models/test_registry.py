import os
import subprocess
import sys

import pytest

from audiograph.errors import InvalidRequest, ModelUnavailable, NotFound, NotServed
from audiograph.schemas import DescribeRequest, DialogueRequest, SpeakRequest
from deployments.config import AppConfig
from deployments.models.registry import Registry

TOYS = "tests.deployments.replica.toy_models"


def config_of(models=None, **application):
    models = models or {"toy": {"class": f"{TOYS}:Toy"}}
    return AppConfig.model_validate({"models": models, **application})


def registry_of(models=None, **application):
    return Registry.from_config(config_of(models, **application))


def entry(toy="Toy", **fields):
    return {"toy": {"class": f"{TOYS}:{toy}", **fields}}


@pytest.mark.parametrize(
    ("models", "message"),
    [
        (
            {"toy": {"class": "deployments.models.nowhere:Toy"}},
            r"models.toy.class: module '.*nowhere' cannot",
        ),
        (entry("Nobody"), r"models.toy.class: module '.*' has no class 'Nobody'"),
        (entry("NOT_A_MODEL"), r"models.toy.class: .* is not a subclass of"),
        (entry("Idle"), r"models.toy.class: .*:Idle does not define run$"),
        (
            entry("Baseless"),
            r"models.toy.class: .*:Baseless is not a subclass of one of Model, BatchedModel and",
        ),
        (
            entry("Undecided"),
            r"models.toy.class: .*:Undecided is not a subclass of one of Model, BatchedModel",
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
def test_a_wrong_entry_is_refused_with_its_path(models, message):
    with pytest.raises(ValueError, match=message):
        registry_of(models)


@pytest.mark.parametrize(("task", "name"), [("speak", "toys"), ("describe", "toy")])
def test_a_default_must_serve_its_task(task, name):
    with pytest.raises(ValueError, match=f"defaults.{task}: {name!r} does not serve it; models that do: "):
        registry_of(defaults={task: name})


def test_a_card_has_what_is_known_without_loading():
    card = registry_of(entry(default_variant="medium", weights="tiny"), weights="auto").card("toy")
    assert (card.tasks, card.variants) == (("speak",), ("small", "medium", "large"))
    assert (card.default_variant, card.weights_policy) == ("medium", "tiny")
    assert (card.needs_weights, card.missing) == (True, None)
    assert registry_of(weights="auto").card("toy").weights_policy == "auto"


def test_an_unknown_card_is_not_found():
    with pytest.raises(NotFound, match="configured: toy") as told:
        registry_of().card("whisper")
    assert told.value.field == "model"


def test_a_missing_package_is_on_the_card_and_refuses_requests():
    registry = registry_of(entry("Unready"))
    assert registry.card("toy").missing == "install the package toys"
    assert registry.voices("toy") == []
    with pytest.raises(ModelUnavailable, match="install the package toys"):
        registry.resolve(SpeakRequest(text="hi"))


def test_a_model_with_its_own_environment_is_not_missed_here():
    options = {"ray_actor_options": {"runtime_env": {"py_executable": "/opt/toys/bin/python"}}}
    assert registry_of(entry("Unready", deployment=options)).card("toy").missing is None


def test_what_an_environment_lacks_is_missed_and_nothing_else(environments):
    registry = registry_of(entry("Unready", environment="toys"))
    fault = "its environment 'toys' does not exist; run `make envs`"
    assert registry.card("toy").missing == fault
    assert registry.voices("toy") == []
    with pytest.raises(ModelUnavailable, match=f"model 'toy' cannot run here: {fault}"):
        registry.resolve(SpeakRequest(text="hi"))
    environments.make("toys")
    assert registry_of(entry("Unready", environment="toys")).card("toy").missing is None


def test_model_and_variant_are_filled_in():
    request = SpeakRequest(text="hi", tags=["a"])
    resolved = registry_of().resolve(request)
    assert (resolved.model, resolved.variant) == ("toy", "small")
    assert (resolved.text, resolved.tags) == ("hi", ["a"])
    assert request.model is None


def test_the_first_that_serves_a_task_is_its_default_unless_told_otherwise():
    two = {"one": {"class": f"{TOYS}:Toy"}, "two": {"class": f"{TOYS}:Choir"}}
    assert registry_of(two).resolve(SpeakRequest(text="hi")).model == "one"
    assert registry_of(two, defaults={"speak": "two"}).resolve(SpeakRequest(text="hi")).model == "two"
    assert registry_of(two).resolve(DialogueRequest(turns=[{"text": "hi"}])).model == "two"
    assert registry_of(two).resolve(SpeakRequest(text="hi", model="two", variant="large")).variant == "large"


def test_a_variant_that_only_another_model_has_names_that_model():
    two = {"one": {"class": f"{TOYS}:Toy"}, "two": {"class": f"{TOYS}:Giant"}}
    for defaults in ({}, {"speak": "one"}):
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
            DialogueRequest(turns=[{"text": "hi"}], model="toy"),
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
def test_a_request_that_cannot_be_served_is_refused_with_what_would_be_right(request_, error, field, details):
    registry = registry_of({"toy": {"class": f"{TOYS}:Toy"}, "choir": {"class": f"{TOYS}:Choir"}})
    with pytest.raises(error) as told:
        registry.resolve(request_)
    assert type(told.value) is error
    assert (told.value.field, told.value.details) == (field, details)
    for name in details.get(next(reversed(details), ""), []):
        assert name in told.value.message


def test_a_model_may_say_why_it_does_not_serve_a_task():
    registry = registry_of({"dia": {"class": "deployments.models.dia:Dia"}, "toy": {"class": f"{TOYS}:Toy"}})
    with pytest.raises(NotServed, match=r"does not serve task 'speak': .*at least two turns; models: toy$"):
        registry.resolve(SpeakRequest(text="hi", model="dia"))


def test_a_message_does_not_list_a_hundred_names():
    models = {f"toy{number}": {"class": f"{TOYS}:Toy"} for number in range(30)}
    with pytest.raises(NotServed, match=r"toy19 and 10 more$") as told:
        registry_of(models).resolve(SpeakRequest(text="hi", model="x"))
    assert len(told.value.details["models"]) == 30


def test_the_registry_imports_nothing_heavy():
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
