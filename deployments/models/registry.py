"""The configured models by name: the only way to models for the ingress and the jobs.

It is built from the configuration alone, in any process: it imports model classes, and loads nothing.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from audiograph._patterns import reason
from audiograph._wording import shortened, shown
from audiograph.errors import ModelUnavailable, NotFound, NotServed
from audiograph.schemas import Request, TaskName, VariantWeights, Voice, voices_named
from deployments import environments
from deployments.config import AppConfig, ModelConfig, WeightsPolicy
from deployments.models.base import BatchedModel, ContinuousModel, Family, Model, Options, RequestT
from deployments.models.kit.speech_model import SpeechModel
from deployments.models.kit.texts import texts_of
from deployments.models.weights.published import Published
from deployments.models.weights.supply import at_hand, expected

MAX_LISTED = 20
"""Maximum number of names in a message; the details of an error have all of them."""

AnyFamily = Family[Any, Any]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_BASES = (Model, BatchedModel, ContinuousModel)
_SPEECH_TASKS = {"speak", "dialogue"}


@dataclass(frozen=True, slots=True)
class ModelCard:
    """Facts about a configured model that are known without loading it."""

    name: str
    tasks: tuple[TaskName, ...]
    variants: tuple[str, ...]
    default_variant: str
    checkpoint: str | None
    clones_voices: bool
    needs_transcripts: bool
    deterministic: bool
    """Whether it speaks the same way in every run."""
    weights_policy: WeightsPolicy
    config: ModelConfig
    missing: str | None
    """A sentence about what must be installed before it can run; None if nothing is missing, or if its
    replicas run in a Python environment that only Ray knows."""


class Registry:
    """The configured models, in the order of the configuration.

    Args:
        cards: of all models, by name.
        models: of the same names.
        defaults: the model that serves a task if the request names none.
        work_dir: the folder of weights.
    """

    def __init__(
        self,
        cards: Mapping[str, ModelCard],
        models: Mapping[str, AnyFamily],
        defaults: Mapping[TaskName, str],
        work_dir: Path,
    ) -> None:
        self.cards = dict(cards)
        self._models = dict(models)
        self._defaults = dict(defaults)
        self._work_dir = work_dir
        self._voices: dict[str, list[Voice]] = {}

    @classmethod
    def from_config(cls, config: AppConfig) -> "Registry":
        """Build the registry of a configuration.

        Raises:
            ValueError: a class, option, variant or default does not exist; the message has the path.
        """
        models = {name: configured_model(name, entry) for name, entry in config.models.items()}
        cards = {name: _card(name, model, config) for name, model in models.items()}
        for task, name in config.defaults.items():
            if name not in cards or task not in cards[name].tasks:
                fitting = [card.name for card in cards.values() if task in card.tasks]
                raise ValueError(
                    f"defaults.{task}: {shown(name)} does not serve it; {_listed('models that do', fitting)}"
                )
        return cls(cards, models, config.defaults, config.work_dir)

    def card(self, name: str) -> ModelCard:
        """Return the card of a model.

        Raises:
            NotFound: the model is not configured.
        """
        try:
            return self.cards[name]
        except KeyError:
            known = _listed("configured", self.cards)
            raise NotFound(f"there is no model {shown(name)}; {known}", field="model") from None

    def select(
        self,
        task: TaskName,
        model: str | None,
        variant: str | None,
        voices: Collection[str] = (),
        texts: Collection[str] = (),
    ) -> ModelCard:
        """Return the card of the model that serves a task.

        Args:
            task: of the request.
            model: the model that the request names; if None, the task's default is selected.
            variant: the variant that the request names; if the default model does not have it, the first
                model that has it is selected instead.

            voices: the voices that the request names; likewise.
            texts: the texts that the request wants spoken; likewise.

        Raises:
            NotServed: no model serves the task, or the named model does not.
            ModelUnavailable: a package or the environment of the model is not installed.
        """
        fitting = {card.name: card for card in self.cards.values() if task in card.tasks}
        if not fitting:
            tasks = list(dict.fromkeys(task for card in self.cards.values() for task in card.tasks))
            raise _refused(f"no model is configured for task {task!r}", "task", task, "tasks", tasks)
        name = model or self._default(task, fitting, variant, voices, texts)
        if name not in fitting:
            raise _refused(self._why_not(name, task), "model", name, "models", list(fitting))
        card = fitting[name]
        if card.missing:
            raise ModelUnavailable(f"model {name!r} cannot run here: {card.missing}", field="model")
        return card

    def resolve(self, request: RequestT) -> RequestT:
        """Return a copy of a request with model and variant filled in, once the model has checked it.

        Blocking: the default model depends on the files of this machine.

        Raises:
            NotServed: no model serves the task, or the named model or variant does not.
            InvalidRequest: the model refuses the value of a field.
            ModelUnavailable: a package or the environment of the model is not installed.
        """
        task: TaskName = request.task  # type: ignore[attr-defined]  # every concrete request has it
        voices, texts = voices_named(request).values(), texts_of(request).values()
        card = self.select(task, request.model, request.variant, set(voices), set(texts))
        variant = request.variant or card.default_variant
        if variant not in card.variants:
            fault = f"model {card.name!r} has no variant {shown(variant)}"
            raise _refused(fault, "variant", variant, "variants", card.variants)
        resolved = request.model_copy(update={"model": card.name, "variant": variant})
        self._models[card.name].check_request(resolved, variant)
        return resolved

    def notes_on_default(self, request: Request, resolved: Request) -> list[str]:
        """Say why another model than the first of the configuration serves a request that names none.

        Args:
            request: as the caller sent it.
            resolved: what `resolve` made of it.
        """
        task: TaskName = resolved.task  # type: ignore[attr-defined]  # every concrete request has it
        first = next(card for card in self.cards.values() if task in card.tasks)
        if request.model or task in self._defaults or first.name == resolved.model:
            return []
        if self._was_chosen(first, request, resolved):
            return []
        if not self._can_speak(first.name, texts_of(request).values()):
            return [f"{resolved.model} stands in for {first.name}, which cannot speak this text."]
        cure = f"(`make weights MODELS={first.name}` fetches them)"
        reason = first.missing or f"its weights are not on this machine {cure}."
        return [f"{resolved.model} stands in for {first.name}: {reason}"]

    def _was_chosen(self, first: ModelCard, request: Request, resolved: Request) -> bool:
        """Return whether the request's variant or voice selects its model, whatever weights are here."""
        if request.variant is not None and request.variant not in first.variants:
            return True
        voices, chosen = voices_named(request).values(), resolved.model or ""
        return any(self.own_voice(chosen, v) and not self.own_voice(first.name, v) for v in voices)

    def voices(self, name: str) -> list[Voice]:
        """Return a model's own voices; none while a package of the model is not installed.

        Raises:
            NotFound: the model is not configured.
        """
        if name not in self._voices:
            missing, model = self.card(name).missing, self._models[name]
            self._voices[name] = model.voices() if isinstance(model, SpeechModel) and not missing else []
        return self._voices[name]

    def own_voice(self, model: str, name: str) -> str | None:
        """Return the id of a model's own voice that a name means; None if it means none.

        Raises:
            NotFound: the model is not configured.
        """
        ids = [voice.id for voice in self.voices(model)]
        family = self._models[model]
        return family.own_voice(name, ids) if isinstance(family, SpeechModel) else None

    def without_voices(self, request: RequestT, missing: Collection[str]) -> RequestT:
        """Return a copy of a resolved request in which the default voice replaces missing voices.

        Raises:
            NotFound: the model of the request is not configured.
        """
        model = self._model_of(request)
        return model.without_voices(request, missing) if isinstance(model, SpeechModel) else request

    def check_voices(self, request: Request, transcripts: Mapping[str, str | None]) -> None:
        """Refuse recorded voices that the model of a resolved request cannot clone.

        Args:
            request: resolved, and `without_voices` that are missing.
            transcripts: by recorded voice of the request; None if the transcript is not known.

        Raises:
            InvalidRequest: with the field, the voice and the cure.
            NotFound: the model of the request is not configured.
        """
        model = self._model_of(request)
        if isinstance(model, SpeechModel):
            model.check_voices(request, transcripts)

    def published(self, name: str, variant: str) -> Sequence[Published]:
        """List the published weights of a variant.

        Raises:
            NotFound: the model is not configured.
        """
        return self._models[self.card(name).name].published(variant)

    def weights(self, name: str, variant: str) -> VariantWeights:
        """Estimate the weights that a variant would be loaded with now.

        With the policy ``auto`` they are random unless they are on this machine, or can be fetched.
        Blocking: it looks for files, and may try to reach the hub unless the answer is known.

        Raises:
            NotFound: the model is not configured.
        """
        policy = self.card(name).weights_policy
        return expected(variant, self.published(name, variant), policy, self._work_dir)

    def _model_of(self, request: Request) -> AnyFamily:
        return self._models[self.card(request.model or "").name]

    def _why_not(self, name: str, task: TaskName) -> str:
        if name not in self.cards:
            return f"there is no model {shown(name)} for task {task!r}"
        reason = self._models[name].unsupported_tasks.get(task)
        return f"model {name!r} does not serve task {task!r}" + (f": {reason}" if reason else "")

    def _default(
        self,
        task: TaskName,
        fitting: Mapping[str, ModelCard],
        variant: str | None,
        voices: Collection[str],
        texts: Collection[str],
    ) -> str:
        """Return the default model of a task, or the first that has the variant and voices and can speak.

        Without an entry in the configuration it is the first whose weights are at hand.
        """
        preferred = self._defaults.get(task)
        names = list(dict.fromkeys([preferred, *fitting] if preferred else fitting))
        names = [name for name in names if variant in fitting[name].variants] or names
        usable = [name for name in names if name == preferred or self._is_at_hand(fitting[name], variant)]
        usable = usable or names
        known = {voice for voice in voices if any(self.own_voice(name, voice) for name in usable)}
        having = [name for name in usable if all(self.own_voice(name, voice) for voice in known)] or usable
        return next((name for name in having if self._can_speak(name, texts)), having[0])

    def _can_speak(self, name: str, texts: Collection[str]) -> bool:
        model = self._models[name]
        return not isinstance(model, SpeechModel) or all(model.can_speak(text) for text in texts)

    def _is_at_hand(self, card: ModelCard, variant: str | None) -> bool:
        """Return whether a model can run, and would certainly not get random weights."""
        chosen = variant if variant and variant in card.variants else card.default_variant
        published = self.published(card.name, chosen)
        return card.missing is None and at_hand(published, card.weights_policy, self._work_dir)


def model_class(name: str, config: ModelConfig) -> type[AnyFamily]:
    """Import the class of a model's entry.

    Raises:
        ValueError: the class does not exist, or is not a complete model.
    """
    module_name, _, class_name = config.model_class.partition(":")
    path = f"models.{name}.class"
    try:
        found = getattr(import_module(module_name), class_name)
    except ImportError as error:
        raise ValueError(f"{path}: module {shown(module_name)} cannot be imported: {error}") from error
    except AttributeError:
        raise ValueError(f"{path}: module {shown(module_name)} has no class {shown(class_name)}") from None
    if fault := _fault_of(found):
        raise ValueError(f"{path}: {shortened(config.model_class)} {fault}")
    cls: type[AnyFamily] = found
    return cls


def _fault_of(found: Any) -> str | None:
    """Return the reason why a class cannot be configured as a model; None if it can."""
    bases = [base for base in _BASES if isinstance(found, type) and issubclass(found, base)]
    if len(bases) != 1:
        names = "Model, BatchedModel and ContinuousModel in deployments.models.base"
        return f"must be a subclass of exactly one of {names}"
    if abstract := sorted(found.__abstractmethods__):
        return f"does not define {', '.join(abstract)}"
    if missing := [name for name in ("tasks", "variants", "default_variant") if not hasattr(found, name)]:
        return f"does not define {', '.join(missing)}"
    if _SPEECH_TASKS.intersection(found.tasks) and not issubclass(found, SpeechModel):
        return "speaks, but is not a subclass of deployments.models.kit.speech_model.SpeechModel"
    return None


def model_options(name: str, cls: type[AnyFamily], config: ModelConfig) -> Options:
    """Check a model's own options by its class.

    Raises:
        ValueError: an option is unknown, or its value is not allowed.
    """
    try:
        return cls.options_class.model_validate(config.options)
    except ValidationError as error:
        faults = "; ".join(
            f"models.{name}.options.{'.'.join(map(str, fault['loc']))}: {reason(fault)}"
            for fault in error.errors()
        )
        known = _listed("options", cls.options_class.model_fields)
        raise ValueError(f"{faults} ({known})") from error


def configured_model(name: str, config: ModelConfig) -> AnyFamily:
    """Construct the model of an entry, with its options, without loading anything.

    Raises:
        ValueError: its class does not exist, or an option is unknown or not allowed.
    """
    cls = model_class(name, config)
    return cls(model_options(name, cls, config))


def _card(name: str, model: AnyFamily, config: AppConfig) -> ModelCard:
    entry = config.models[name]
    if not _NAME.fullmatch(name):
        raise ValueError(f"models.{name}: a name has only letters, digits, dots, dashes and underscores")
    for kind in ("tasks", "variants"):
        values = getattr(model, kind)
        if not values or len(set(values)) < len(values):
            raise ValueError(
                f"models.{name}.class: {type(model).__name__}.{kind} is empty or repeats itself: {values}"
            )
    default_variant = entry.default_variant or model.default_variant
    for key, variant in [("default_variant", default_variant), *(("preload", v) for v in entry.preload)]:
        if variant not in model.variants:
            raise ValueError(
                f"models.{name}.{key}: no variant {shown(variant)}; {_listed('variants', model.variants)}"
            )
    return ModelCard(
        name=name,
        tasks=model.tasks,
        variants=model.variants,
        default_variant=default_variant,
        checkpoint=model.checkpoint,
        clones_voices=isinstance(model, SpeechModel) and model.clones_voices,
        needs_transcripts=isinstance(model, SpeechModel) and model.needs_transcripts,
        deterministic=isinstance(model, SpeechModel) and model.deterministic,
        weights_policy=entry.weights or config.weights,
        config=entry,
        missing=_missing(model, entry),
    )


def _missing(model: AnyFamily, config: ModelConfig) -> str | None:
    """Look for missing packages where the replicas run, which need not be this process's environment."""
    if config.environment:
        return environments.missing(config.environment)
    return None if config.runtime_env else model.missing()


def _refused(
    fault: str,
    field: str,
    value: str,
    kind: Literal["tasks", "models", "variants"],
    valid: Sequence[str],
) -> NotServed:
    details = {"value": value, kind: list(valid)}
    return NotServed(f"{fault}; {_listed(kind, valid)}", field=field, details=details)


def _listed(label: str, names: Sequence[str] | Mapping[str, Any]) -> str:
    shown = ", ".join(list(names)[:MAX_LISTED]) or "none"
    return f"{label}: {shown}" + (f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else "")
