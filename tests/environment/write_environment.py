"""Write environment.yml (conda) from requirements.lock (pip): the same pins and markers, without hashes."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

HEADER = """\
# For conda users; `make` needs only Python. Written from requirements.lock by `make lock`: do not edit.
#   conda env create -f environment.yml && conda activate pma-mfg
#   pip install --no-deps --no-build-isolation -e .
name: pma-mfg
channels:
  - conda-forge
dependencies:
  - python=3.11
  - pip
  - pip:
"""


def main() -> None:
    """Replace environment.yml."""
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pins = [line.removesuffix("\\").rstrip() for line in lock.splitlines() if line[:1].isalnum()]
    lines = [f"      - {pin}\n" for pin in pins]
    (ROOT / "environment.yml").write_text(HEADER + "".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
