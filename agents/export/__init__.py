"""A trained classifier as a folder that loads without this package: for timm, for peft, or as an ONNX graph."""

from __future__ import annotations

from agents.export.folder import FORMATS, export_agent

__all__ = ["FORMATS", "export_agent"]
