"""Model files that are none, and models that other commands cannot use."""

import json
import pickle

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from anabranch import save
from anabranch.archive import read_archive, write_archive
from anabranch.models import realnvp


def rewritten(source, target, **changes):
    """The same file with another header."""
    with safe_open(source, framework="pt") as file:
        metadata = file.metadata() | changes
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    save_file(tensors, target, metadata)


def flipped(content):
    middle = 3 * len(content) // 4
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


class Trap:
    def __reduce__(self):
        return (print, ("a pickle was run",))


BAD = {
    "empty": (lambda _: b"", "is empty"),
    "truncated": (lambda content: content[:-100], "damaged"),
    "truncated header": (lambda content: content[:40], "damaged"),
    "flipped": (flipped, "its contents do not match their checksum"),
    "pickle": (lambda _: pickle.dumps(Trap()), "is a pickle"),
    "old pickle": (lambda _: pickle.dumps(Trap(), protocol=0), "not an anabranch file"),
    "text": (lambda _: b"a,b\n1,2\n" * 9, "not an anabranch file"),
    "short": (lambda _: b"abc", "not an anabranch file"),
}
USERS = {
    "predict": ("t.csv", "-o", "o.csv"),
    "score": ("t.csv", "-o", "o.csv"),
    "sample": ("-o", "o.csv"),
    "report": ("t.csv", "-o", "o.html"),
    "info": (),
}


def refusals(fail, files, tmp_path, path):
    """What every command that reads a model says about one."""
    for command, args in USERS.items():
        places = [files / a if a == "t.csv" else tmp_path / a if "." in a else a for a in args]
        yield fail(command, path, *places)
    assert not (tmp_path / "o.csv").exists()


@pytest.mark.parametrize("case", BAD)
def test_files_that_are_no_models(fail, files, model, tmp_path, case):
    content, said = BAD[case]
    path = tmp_path / "m.safetensors"
    path.write_bytes(content(model.read_bytes()))
    for sentence in refusals(fail, files, tmp_path, path):
        assert said in sentence
        assert str(path) in sentence
        assert "a pickle was run" not in sentence


def test_a_torch_file(fail, files, tmp_path):
    torch.save({"a": torch.ones(2)}, tmp_path / "m.pt")
    for sentence in refusals(fail, files, tmp_path, tmp_path / "m.pt"):
        assert "is a pickle or torch.save file" in sentence


def test_a_newer_format(fail, files, model, tmp_path):
    path = tmp_path / "m.safetensors"
    rewritten(model, path, format_version="99", library_version="9.1")
    for sentence in refusals(fail, files, tmp_path, path):
        assert "has format 99, written by anabranch 9.1" in sentence


def test_files_of_others(fail, files, model, tmp_path):
    path = tmp_path / "m.safetensors"
    save_file({"a": torch.ones(2)}, path)
    for sentence in refusals(fail, files, tmp_path, path):
        assert "but not an anabranch one" in sentence
    rewritten(model, path, kind="checkpoint")
    for sentence in refusals(fail, files, tmp_path, path):
        assert "is damaged" in sentence or "is a checkpoint file, expected a model" in sentence


def test_a_missing_model(fail, files, tmp_path):
    for sentence in refusals(fail, files, tmp_path, tmp_path / "no.safetensors"):
        assert sentence == f"error: there is no file {tmp_path}/no.safetensors"


def test_a_flow_alone_is_shown_but_not_used(succeed, fail, files, tmp_path):
    path = tmp_path / "flow.safetensors"
    save(realnvp(2, n_layers=2, seed=0), path)
    facts = json.loads(succeed("info", path, "--json"))
    assert facts["recipe"] == "realnvp"
    assert facts["arguments"] == {"features": 2, "n_layers": 2, "seed": 0}
    assert facts["parameters"] > 0
    assert "needs a FlowMixture" in fail("score", path, files / "t.csv", "-o", tmp_path / "o.csv")


@pytest.mark.parametrize("padding", range(33))
def test_no_header_length_looks_like_a_pickle(tmp_path, padding):
    """Headers of 128 bytes more than a multiple of 256 begin files as pickles begin."""
    path = tmp_path / "m.safetensors"
    tree = {"padding": "x" * 8 * padding}
    write_archive(path, "model", tree)
    assert read_archive(path, "model") == tree


@pytest.mark.parametrize("component", [-1, 3])
def test_a_component_that_is_not_there(fail, model, tmp_path, component):
    sentence = fail("sample", model, "-o", tmp_path / "o.csv", "--component", component)
    assert f"--component {component}: the model has the components 0..2" in sentence
