"""Proteins: written by a language model, judged beside natural ones, and handed on."""
