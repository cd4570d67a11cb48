"""The recipes can be read by what reads them, and ask for what they are said to."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

RECIPES = Path(__file__).resolve().parents[1] / "recipes"


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_job_of_slurm_is_a_script_that_bash_reads() -> None:
    done = subprocess.run(
        ["bash", "-n", RECIPES / "train.sbatch"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_job_of_kubernetes_is_confined() -> None:
    text = (RECIPES / "train-job.yaml").read_text()
    parts: dict[str, Any] = {part["kind"]: part for part in yaml.safe_load_all(text)}
    pod = parts["Job"]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert not pod["automountServiceAccountToken"]
    (container,) = pod["containers"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["securityContext"]["readOnlyRootFilesystem"]
    policy = parts["NetworkPolicy"]["spec"]
    labels = parts["Job"]["spec"]["template"]["metadata"]["labels"]
    assert policy["podSelector"]["matchLabels"] == labels
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert parts["Service"]["spec"]["selector"] == labels
    nodes = parts["Job"]["spec"]["completions"]
    assert f"--nnodes {nodes} " in container["command"][-1]
