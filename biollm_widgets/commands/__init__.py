"""The verbs of `biollm`, one file each, named like the verb; each file holds a click command called `command`."""
