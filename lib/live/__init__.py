"""Figures that are alive with no kernel: in the built book, JupyterLab, Notebook 7, VS Code and
Colab.
"""

from .charts import Chart
from .codes import CodePlane
from .drawn import Bars, Words
from .figures import DrawDigit, Explore, Question, Quiz, explore, figure, quiz
from .page import Thumbnails, eight_bits
from .tables import Cell, Table
from .timeline import Entry, Timeline, timeline
from .values import VALUES, Values

__all__ = [
    "explore",
    "figure",
    "Explore",
    "DrawDigit",
    "CodePlane",
    "Question",
    "Quiz",
    "quiz",
    "Bars",
    "Chart",
    "Words",
    "Thumbnails",
    "eight_bits",
    "Cell",
    "Table",
    "Entry",
    "Timeline",
    "timeline",
    "VALUES",
    "Values",
]
