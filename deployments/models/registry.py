"""The configured models, by name: what each serves, and what a request must be to be served.

Made from the configuration alone, in any process: model classes are imported, nothing is loaded.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

from pydantic import ValidationError

from audiograph.errors import ModelUnavailable, NotFound, NotServed
from audiograph.schemas import Request, TaskName, Voice
from deployments.config import AppConfig, ModelConfig, WeightsPolicy
from deployments.models.base import Model, Options

LISTED = 20
"""The most names that a message lists; an error's details have them all."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What is known of a configured model without loading it."""

    name: str
    tasks: tuple[TaskName, ...]
    variants: tuple[str, ...]
    default_variant: str
    needs_weights: bool
    checkpoint: str | None
    clones_voices: bool
    needs_transcripts: bool
    weights_policy: WeightsPolicy
    config: ModelConfig
    missing: str | None
    """What must be installed before it can run; None if nothing, or if its replicas have their own
    environment, of which this process knows nothing."""


class Registry:
    """Cards by name, in the order of the configuration; fills in and checks requests."""

    def __init__(
        self,
        cards: Mapping[str, ModelCard],
        models: Mapping[str, Model[Any]],
        defaults: Mapping[TaskName, str],
    ) -> None:
        self.cards = dict(cards)
        self._models = dict(models)
        self._defaults = dict(defaults)
        self._known_voices: dict[str, list[Voice]] = {}

    @classmethod
    def from_config(cls, config: AppConfig) -> "Registry":
        """The registry of a configuration.

        Raises:
            ValueError: a class, option, variant or default in it does not exist; the message has the path.
        """
        models = {name: configured_model(name, entry) for name, entry in config.models.items()}
        cards = {name: _card(name, model, config) for name, model in models.items()}
        for task, name in config.defaults.items():
            if name not in cards or task not in cards[name].tasks:
                fitting = [card.name for card in cards.values() if task in card.tasks]
                raise ValueError(
                    f"defaults.{task}: {name!r} does not serve it; {_listed('models that do', fitting)}"
                )
        return cls(cards, models, config.defaults)

    def card(self, name: str) -> ModelCard:
        """The card of a model.

        Raises:
            NotFound: it is not configured.
        """
        try:
            return self.cards[name]
        except KeyError:
            known = _listed("configured", self.cards)
            raise NotFound(f"there is no model {name!r}; {known}", field="model") from None

    def resolve(self, request: Request) -> Request:
        """A copy of the request with model and variant filled in, which that model can serve.

        Raises:
            NotServed: no model serves the task, or the model or the variant named does not.
            InvalidRequest: the model refuses a field's value.
            ModelUnavailable: a package that the model needs is not installed.
        """
        task: TaskName = request.task  # type: ignore[attr-defined]  # every class of a request has it
        card = self._serving(task, request.model, request.variant)
        variant = request.variant or card.default_variant
        if variant not in card.variants:
            raise _refused(
                f"model {card.name!r} has no variant {variant!r}",
                "variant",
                variant,
                "variants",
                card.variants,
            )
        if card.missing:
            raise ModelUnavailable(f"model {card.name!r} cannot run here: {card.missing}", field="model")
        resolved = request.model_copy(update={"model": card.name, "variant": variant})
        self._models[card.name].check_request(resolved, variant)
        return resolved

    def model(self, name: str) -> Model[Any]:
        """A configured model, to ask about requests; nothing of it is loaded.

        Raises:
            NotFound: it is not configured.
        """
        return self._models[self.card(name).name]

    def voices(self, name: str) -> list[Voice]:
        """The voices that a model can name; none while a package that it needs is missing.

        Raises:
            NotFound: the model is not configured.
        """
        if name not in self._known_voices:
            missing = self.card(name).missing
            self._known_voices[name] = [] if missing else self._models[name].voices()
        return self._known_voices[name]

    def _serving(self, task: TaskName, name: str | None, variant: str | None) -> ModelCard:
        fitting = {card.name: card for card in self.cards.values() if task in card.tasks}
        if not fitting:
            tasks = list(dict.fromkeys(task for card in self.cards.values() for task in card.tasks))
            raise _refused(f"no model is configured for task {task!r}", "task", task, "tasks", tasks)
        name = name or self._default(task, fitting, variant)
        if name not in fitting:
            raise _refused(self._why_not(name, task), "model", name, "models", list(fitting))
        return fitting[name]

    def _why_not(self, name: str, task: TaskName) -> str:
        if name not in self.cards:
            return f"there is no model {name!r} for task {task!r}"
        reason = self._models[name].reasons_not_to.get(task)
        return f"model {name!r} does not serve task {task!r}" + (f": {reason}" if reason else "")

    def _default(self, task: TaskName, fitting: Mapping[str, ModelCard], variant: str | None) -> str:
        """The default for the task; or, if a variant is named that only others have, the first of those."""
        preferred = self._defaults.get(task)
        names = [preferred, *fitting] if preferred else list(fitting)
        having = [name for name in names if variant in fitting[name].variants]
        return (having or names)[0]


def model_class(name: str, config: ModelConfig) -> type[Model[Any]]:
    """The class of a model's entry.

    Raises:
        ValueError: there is none of that path, or it is not a model.
    """
    module_name, _, class_name = config.model_class.partition(":")
    path = f"models.{name}.class"
    try:
        found = getattr(import_module(module_name), class_name)
    except ImportError as error:
        raise ValueError(f"{path}: module {module_name!r} cannot be imported: {error}") from error
    except AttributeError:
        raise ValueError(f"{path}: module {module_name!r} has no class {class_name!r}") from None
    if not (isinstance(found, type) and issubclass(found, Model)):
        fault = f"{config.model_class} is not a subclass of deployments.models.base.Model"
        raise ValueError(f"{path}: {fault}")  # noqa: TRY004  # the value in the configuration is wrong
    if found.run is Model.run and not found.batches() and not found.batches_in_flight():
        raise ValueError(f"{path}: {config.model_class} defines none of run, run_batch and run_in_flight")
    return found


def model_options(name: str, cls: type[Model[Any]], config: ModelConfig) -> Options:
    """A model's own options, checked by its class.

    Raises:
        ValueError: an option is unknown, or its value is not allowed.
    """
    try:
        return cls.options_class.model_validate(config.options)
    except ValidationError as error:
        faults = "; ".join(
            f"models.{name}.options.{'.'.join(map(str, fault['loc']))}: {fault['msg']}"
            for fault in error.errors()
        )
        known = _listed("options", cls.options_class.model_fields)
        raise ValueError(f"{faults} ({known})") from error


def configured_model(name: str, config: ModelConfig) -> Model[Any]:
    """The model of an entry, with its options; nothing of it is loaded.

    Raises:
        ValueError: its class does not exist, or an option is unknown or not allowed.
    """
    cls = model_class(name, config)
    return cls(model_options(name, cls, config))


def _card(name: str, model: Model[Any], config: AppConfig) -> ModelCard:
    entry = config.models[name]
    if not _NAME.fullmatch(name):
        raise ValueError(f"models.{name}: a name is made of letters, digits, dots, dashes and underscores")
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
                f"models.{name}.{key}: no variant {variant!r}; {_listed('variants', model.variants)}"
            )
    return ModelCard(
        name=name,
        tasks=model.tasks,
        variants=model.variants,
        default_variant=default_variant,
        needs_weights=model.needs_weights,
        checkpoint=model.checkpoint,
        clones_voices=model.clones_voices,
        needs_transcripts=model.needs_transcripts,
        weights_policy=entry.weights or config.weights,
        config=entry,
        missing=None if _own_environment(entry) else model.missing(),
    )


def _own_environment(config: ModelConfig) -> bool:
    return bool((config.deployment.get("ray_actor_options") or {}).get("runtime_env"))


def _refused(
    fault: str,
    field: str,
    value: str,
    kind: Literal["tasks", "models", "variants"],
    right: Sequence[str],
) -> NotServed:
    details = {"value": value, kind: list(right)}
    return NotServed(f"{fault}; {_listed(kind, right)}", field=field, details=details)


def _listed(what: str, names: Sequence[str] | Mapping[str, Any]) -> str:
    shown = ", ".join(list(names)[:LISTED]) or "none"
    return f"{what}: {shown}" + (f" and {len(names) - LISTED} more" if len(names) > LISTED else "")
