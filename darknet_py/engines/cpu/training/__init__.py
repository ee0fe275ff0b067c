"""Training on the CPU: compiled operations forward and backward; layers without any run by their definitions."""

from .plan import CpuTraining, compile_training

__all__ = ["CpuTraining", "compile_training"]
