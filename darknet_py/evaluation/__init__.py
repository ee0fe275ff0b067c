"""Measuring a network on a list of images.

samples --evaluator, on threads here or on a cluster--> outcomes --journal--> totals, results, the page
"""
