"""How good a policy is: the hindsight optimum, scores, comparisons, the claim rule, the report."""
