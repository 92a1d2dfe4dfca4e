"""Designs on their way out: FASTA, CSV, AlphaFold's job files, and the settings that make the same designs again."""

from __future__ import annotations

from biollm_widgets.protein.export.alphafold import (
    safe_name,
    to_alphafold3,
    to_alphafold_server,
    write_alphafold3,
    write_alphafold_server,
)
from biollm_widgets.protein.export.fasta import parse_header, to_fasta, write_fasta
from biollm_widgets.protein.export.plain import Entry
from biollm_widgets.protein.export.settings import settings_from_json, settings_to_json, write_settings
from biollm_widgets.protein.export.table import TEXT_COLUMNS, to_csv, write_csv

__all__ = [
    "TEXT_COLUMNS",
    "Entry",
    "parse_header",
    "safe_name",
    "settings_from_json",
    "settings_to_json",
    "to_alphafold3",
    "to_alphafold_server",
    "to_csv",
    "to_fasta",
    "write_alphafold3",
    "write_alphafold_server",
    "write_csv",
    "write_fasta",
    "write_settings",
]
