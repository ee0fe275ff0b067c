"""Training on the CPU: compiled operations forward and backward, and what has none by its definition."""

from .plan import CpuTraining, compile_training

__all__ = ["CpuTraining", "compile_training"]
