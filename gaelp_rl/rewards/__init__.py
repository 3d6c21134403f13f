"""What a step is worth to the learner: dense reward terms, a CPA constraint, shaping. Judgement is never shaped."""
