"""Skeleton of a chapter: what this wing computes, in one sentence."""

from .shares import share

__all__ = ["share"]
