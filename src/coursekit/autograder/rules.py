"""What `check`, the grader and the page allow and say alike: limits, signs, a sentence, what a check cell is.

Constants only. The page gets this file for its Python, and its values for its scripts (book/_ext/tryit.py).
"""

CHECK = r"""(?m)^check\(\s*["']([\w.]+)["']"""  # a cell with such a line is the check of the exercise that it names
MAX_ITEMS = 20000  # of an answer, all its lists together
MAX_DEPTH = 8  # of lists in lists
MAX_TEXT = 1000  # characters of a text, or of what is no number
MAX_ERROR = 150  # characters of what an error says
SECONDS = 20  # for one call of the learner's function, in the notebook
PAGE = {"seconds": 10, "printed": 5000}  # on the page: for all calls together; characters that they may print
SIGNS = {"correct": "✓", "wrong": "✗", "not attempted": "○"}
LATE = "no answer within {} s: does the loop end?"
UNJUDGED = "○ cannot be judged here: {}. It may be right: copy it to the notebook."  # the page only
