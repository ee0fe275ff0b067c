"""Measuring a network on a list of images.

samples --a crew: threads here, or a cluster--> outcomes --journal--> progress, totals, results, the page
"""
