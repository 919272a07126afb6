from deployments import environments as true_environments
from deployments.environments import missing, python_of
from tests.support.environments import Environments


def test_what_is_missing_is_said_with_what_to_do(environments: Environments) -> None:
    assert missing("toys") == "its environment 'toys' does not exist; run `make envs`"
    environments.make("toys")
    assert missing("toys") is None
    environments.lock("toys", "toys==2.0\n")
    assert missing("toys") == "its environment 'toys' was built from another lock; run `make envs`"
    assert missing("trains") == (
        "its environment 'trains' has no lock; write requirements/environments/trains.txt and run `make envs`"
    )


def test_one_that_was_cut_off_is_not_here(environments: Environments) -> None:
    python_of("toys").parent.mkdir(parents=True)
    assert missing("toys") == "its environment 'toys' does not exist; run `make envs`"


def test_its_python_is_named_in_full(environments: Environments) -> None:
    assert python_of("toys").is_absolute()
    assert python_of("toys") == true_environments.FOLDER / "toys" / "bin" / "python"
