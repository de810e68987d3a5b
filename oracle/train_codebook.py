"""Train codebook: ``python -m oracle.train_codebook``, gestures that several memories can share.

Main thread. Recordings are heard as `oracle.train` hears them; what is found are the gestures
alone. Memories learned with one codebook call the same sound by the same token.
"""

import argparse
import sys
import time
from dataclasses import replace
from typing import Final

from rich.console import Console

from models.codebook import CodebookConfig
from models.errors import ModelsError
from models.settings import settings_from_table
from models.terminal import CommandLine, plain_console, run_command
from oracle.codebook_file import save_codebook
from oracle.errors import OracleError
from oracle.learning import learn_codebook, perplexity
from oracle.provenance import codebook_sha256
from oracle.train_command import add_options, begun, say_of_recordings
from oracle.train_config import load_train_config

CODEBOOK_SUFFIXES: Final = (".codebook",)


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = _parser().parse_args(arguments)
    console = plain_console(stderr=True)
    return run_command(lambda: train_codebook(options, console), (ModelsError, OracleError))


def train_codebook(options: argparse.Namespace, console: Console) -> int:
    """Find gestures as the command line says, say what, and return the exit code."""
    started_s = time.monotonic()
    config = load_train_config(options.config, profile=options.profile)
    if options.n_clusters is not None:
        given = {"n_tokens": options.n_clusters}
        codebook = settings_from_table(CodebookConfig, given, "--n-clusters", config.codebook)
        config = replace(config, codebook=codebook)
    with begun(options, config, console, CODEBOOK_SUFFIXES) as (training, recordings):
        learned = learn_codebook(recordings.files, training)
        scratch = training.checkpoint.folder
        save_codebook(options.output, learned.codebook, learned.provenance, scratch=scratch)
    material, found = learned.material, learned.codebook
    tokens, _ = found.lookup_batch(material.embeddings)
    plain_console().print(
        f"{found.n_tokens} gestures in {len(material)} events (perplexity "
        f"{perplexity(tokens):.1f}), {material.duration_s:.0f} s "
        f"of sound heard in {time.monotonic() - started_s:.1f} s.\n"
        f"The codebook is {options.output}, sha256 {codebook_sha256(found.centroids)}."
    )
    return say_of_recordings(recordings.refused, material, console)


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = CommandLine(
        prog="python -m oracle.train_codebook",
        description="Finds the gestures in recordings, for python -m oracle.train --codebook: "
        "memories learned with one codebook call the same sound by the same token.",
        epilog="example: python -m oracle.train_codebook takes/ --n-clusters 2048 --output "
        "mine.codebook",
    )
    add_options(parser)
    parser.add_argument(
        "--n-clusters",
        type=int,
        metavar="N",
        help="how many gestures to tell apart at most (default: [codebook] n_tokens in the "
        "settings)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
