"""An empty stand-in: zennit imports two classes of torchvision for canonizers that the tests do not
use.
"""
