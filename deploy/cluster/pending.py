"""What the manifests name and this checkout does not hold yet. A name leaves the list when it exists."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["PENDING_IMPORT_PATHS"]

PENDING_IMPORT_PATHS: Mapping[str, str] = {
    "deploy.serving.app:app": "the bidding service of kuberay/rayservice.yaml",
}
"""By import path, where it is named. ``tests/deploy/cluster/test_manifests.py`` holds it to the manifests."""
