"""Networks behind HTTP: a page to drop pictures on, and answers in JSON.

Whatever a request names is looked up among what was loaded; nothing that it says becomes a path.
"""
