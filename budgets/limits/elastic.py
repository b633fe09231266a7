"""How elastic budgets hold: an answer's first part, then one part more before it is needed."""

STEP = 1024  # output tokens of a part
AHEAD = 256  # tokens before the end of a part at which the next one is asked for
