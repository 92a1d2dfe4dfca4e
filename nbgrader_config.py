"""How nbgrader makes the lessons of what stands in `solutions/`: `nbgrader generate_assignment LESSON --force`."""

c = get_config()  # noqa: F821

c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "lessons"
# An unanswered cell gives `...` and no error, so that a lesson can be run to its end before all of it is done.
c.ClearSolutions.code_stub = {"python": "...  # your answer"}
c.ClearSolutions.text_stub = "*Your answer, in two or three sentences.*"
