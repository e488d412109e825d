"""What a fit says of itself."""

import pytest
from sklearn.exceptions import NotFittedError

from anabranch import FlowDensity, GaussianMixture
from tests.estimators.data import blobs, quick

X, Y = blobs()


def test_the_summary_tells_weights_score_start_and_stages():
    mixture = quick(max_epochs=1).fit(X)
    lines = dict(line.split(maxsplit=1) for line in mixture.summary().splitlines())
    assert lines["model"] == "FlowMixture"
    assert lines["weights"] == " ".join(f"{weight:.3f}" for weight in mixture.weights_)
    assert f"{mixture.lower_bound_:.4f} nats per row" in lines["held"]
    assert lines["start"] == mixture.start_
    assert lines["epochs"].startswith("1, best")


def test_it_says_where_the_start_was_kept():
    mixture = quick(max_epochs=1, learning_rate=1.0).fit(X)
    assert mixture.fit_result_.best_epoch == 0
    assert mixture.fit_result_.gain == [0, 0]
    assert "training was not convincingly better on rows held out" in mixture.summary()
    assert "±" not in mixture.summary()
    assert "convincingly" not in GaussianMixture(2, random_state=0).fit(X).summary()


@pytest.mark.parametrize(
    "estimator", [GaussianMixture(3, random_state=0), FlowDensity(max_epochs=0)]
)
def test_notebooks_show_it(estimator):
    assert "sk-top-container" in estimator._repr_html_()
    with pytest.raises(NotFittedError):
        estimator.summary()
    shown = estimator.fit(X)._repr_mimebundle_()
    assert shown["text/plain"] == repr(estimator)
    assert f'<th scope="row">model</th><td>{type(estimator).__name__}</td>' in shown["text/html"]


def test_names_are_no_markup():
    names = [["<script>", "<b>", "c"][k] for k in Y]
    html = GaussianMixture(random_state=0).fit(X, names)._repr_html_()
    assert "&lt;script&gt;" in html.split("<table><tbody>")[-1]
