"""Figures that are alive with no kernel: in the built book, JupyterLab, Notebook 7, VS Code and
Colab.
"""

from .figures import DrawDigit, Explore, Question, Quiz, explore, quiz
from .page import Bars
from .timeline import Entry, Timeline, timeline
from .values import VALUES, Values

__all__ = [
    "explore",
    "Explore",
    "DrawDigit",
    "Question",
    "Quiz",
    "quiz",
    "Bars",
    "Entry",
    "Timeline",
    "timeline",
    "VALUES",
    "Values",
]
