"""Sensitivity: what a gradient says about a score, alone, averaged over noise, and averaged along a
path.
"""

from .activation_maps import cam, grad_cam
from .gradients import gradient, gradient_x_input, integrated_gradients, sensitivity, smoothgrad
from .rectifiers import deconvnet, guided_backprop
from .regions import count_linear_regions, kinks

__all__ = [
    "gradient",
    "sensitivity",
    "gradient_x_input",
    "smoothgrad",
    "integrated_gradients",
    "cam",
    "grad_cam",
    "deconvnet",
    "guided_backprop",
    "count_linear_regions",
    "kinks",
]
